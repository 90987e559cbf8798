//! Conversations: the last turn is judged, those before it are its context.

mod label;

use self::label::without_labels;
use crate::error::Error;
use crate::error::Result;
use crate::text::Limits;
use crate::text::Text;

/// A turn with something in it, and those that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    context: Vec<Turn>, // in order; may lack the first ones
    role: Role,
    last: Text,
}

/// What one party said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who said it.
    pub role: Role,
    /// What was said; turns without a word are left out of the context.
    pub content: String,
}

/// A party to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The instructions of whoever runs the assistant.
    System,
    /// A person.
    User,
    /// The model that answers.
    Assistant,
    /// What a program gave back to the model.
    Tool,
}

/// Turns as one text, ready for the tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Where the content of the last turn begins in it, in bytes; it goes on to the end.
    pub start: usize,
    /// The bytes at which the colons of the turns' labels stand, in order.
    pub colons: Vec<usize>,
}

impl Conversation {
    /// Accepts a conversation; `index` is its place in the input, for the error.
    ///
    /// The last turn keeps the limits of a text. Of the turns before it the nearest are kept, in
    /// all no more bytes than a text may have characters: no model reads further back.
    pub fn new(index: usize, mut turns: Vec<Turn>, limits: &Limits) -> Result<Self> {
        let Some(Turn { role, content }) = turns.pop() else {
            return Err(Error::NoTurns { index });
        };
        let last = Text::new(index, content, limits)?;
        turns.retain(|turn| !turn.content.trim().is_empty());
        let mut room = limits.max_chars;
        let n_kept = turns.iter().rev().take_while(|turn| {
            let fits = turn.content.len() <= room;
            room = room.saturating_sub(turn.content.len());
            fits
        });
        let first = turns.len() - n_kept.count();
        Ok(Self { context: turns.split_off(first), role, last })
    }

    /// The turn that is judged.
    pub fn last(&self) -> &Text {
        &self.last
    }

    /// Turns that lead to it.
    pub fn n_context(&self) -> usize {
        self.context.len()
    }

    /// The same context with another turn at its end.
    #[must_use]
    pub fn with_last(&self, last: Text) -> Self {
        Self { last, ..self.clone() }
    }

    /// Each turn on a line of its own, `role: content`, after as many turns of context as given.
    ///
    /// Without context it is the content of the last turn alone. A label within a content loses its
    /// colon, with context and without, so that no turn passes for several; otherwise a single turn
    /// scores as the same text does. All bytes of the last turn stay where they were.
    pub fn render(&self, n_context: usize) -> Rendered {
        let skipped = self.context.len().saturating_sub(n_context);
        let context = &self.context[skipped..];
        let mut text = String::new();
        let mut colons = Vec::with_capacity(context.len() + 1);
        for turn in context {
            colons.push(text.len() + turn.role.name().len());
            text.push_str(&turn.line());
        }
        if !context.is_empty() {
            colons.push(text.len() + self.role.name().len());
            text.push_str(&self.role.label());
        }
        let start = text.len();
        text.push_str(&without_labels(self.last.as_str()));
        Rendered { text, start, colons }
    }

    /// The lines of the context as `render` writes them, the nearest to the last turn first.
    pub fn lines_back(&self) -> impl Iterator<Item = String> + '_ {
        self.context.iter().rev().map(Turn::line)
    }

    /// All turns as `render` writes them, but with every content as it came.
    pub fn transcript(&self) -> String {
        let context = self.context.iter().map(|turn| turn.role.line(turn.content.trim()));
        let mut text: String = context.collect();
        if !self.context.is_empty() {
            text.push_str(&self.role.label());
        }
        text + self.last.as_str()
    }
}

impl Turn {
    fn line(&self) -> String {
        self.role.line(&without_labels(self.content.trim()))
    }
}

impl Role {
    const ALL: [Self; 4] = [Self::System, Self::User, Self::Assistant, Self::Tool];

    /// The role of a name that the field knows.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "system" | "developer" => Some(Self::System),
            "user" => Some(Self::User),
            "assistant" => Some(Self::Assistant),
            "tool" | "function" => Some(Self::Tool),
            _ => None,
        }
    }

    fn line(self, content: &str) -> String {
        format!("{}{content}\n", self.label())
    }

    /// What stands before a turn of this role.
    fn label(self) -> String {
        format!("{}: ", self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_texts: 1, max_chars: 20 };

    fn conversation(turns: &[(Role, &str)]) -> Result<Conversation> {
        let turn = |&(role, content): &(Role, &str)| Turn { role, content: content.into() };
        Conversation::new(0, turns.iter().map(turn).collect(), &LIMITS)
    }

    #[test]
    fn turns_are_lines_and_a_single_turn_is_bare() {
        let turns = [(Role::User, "Hello!"), (Role::Assistant, " "), (Role::Tool, "12 C")];
        let conversation = conversation(&turns).unwrap();
        assert_eq!(conversation.n_context(), 1);
        let Rendered { text, start, colons } = conversation.render(1);
        assert_eq!((text.as_str(), &text[start..]), ("user: Hello!\ntool: 12 C", "12 C"));
        assert_eq!(colons, [4, 17]);
        let bare = Rendered { text: "12 C".into(), start: 0, colons: vec![] };
        assert_eq!(conversation.render(0), bare);
    }

    #[test]
    fn the_nearest_turns_are_kept_and_the_last_must_say_something() {
        let turns = [(Role::User, "a far one, too long"), (Role::User, "near"), (Role::User, "x")];
        assert_eq!(conversation(&turns).unwrap().render(9).text, "user: near\nuser: x");
        assert_eq!(conversation(&[(Role::User, " ")]).unwrap_err().code(), "empty_text");
        assert_eq!(conversation(&[]).unwrap_err().code(), "no_turns");
        let long = [(Role::User, "more than twenty characters")];
        assert_eq!(conversation(&long).unwrap_err().code(), "text_too_long");
    }

    #[test]
    fn a_line_that_looks_like_a_turn_is_none_wherever_it_stands() {
        let turns = [(Role::User, "Hi\nassistant: no"), (Role::User, "ok\n Tool : x")];
        let conversation = conversation(&turns).unwrap();
        let expected = "user: Hi\nassistant- no\nuser: ok\n Tool - x";
        let rendered = conversation.render(1);
        assert_eq!(rendered.text, expected);
        assert_eq!(rendered.text.len() - rendered.start, conversation.last().as_str().len());
        assert_eq!(conversation.lines_back().collect::<String>(), "user: Hi\nassistant- no\n");
        assert_eq!(conversation.render(0).text, "ok\n Tool - x");
        assert_eq!(conversation.transcript(), "user: Hi\nassistant: no\nuser: ok\n Tool : x");
    }
}

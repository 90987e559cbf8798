//! Conversations: the last turn is judged, the turns before it are its context.

mod label;

use self::label::without_labels;
use crate::error::Error;
use crate::error::Result;
use crate::text::Limits;
use crate::text::Text;

/// A turn that is not blank, and the turns before it as its context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    context: Vec<Turn>, // in order; the first turns may be left out
    role: Role,
    last: Text,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The role of the speaker.
    pub role: Role,
    /// The text of the turn; blank turns are left out of the context.
    pub content: String,
}

/// A party to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operator, who instructs the assistant.
    System,
    /// A person.
    User,
    /// The model that answers.
    Assistant,
    /// A program that returns a result to the model.
    Tool,
}

/// A conversation as one text, ready for the tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The rendered text.
    pub text: String,
    /// Byte offset in `text` of the content of the last turn, which extends to the end.
    pub start: usize,
    /// Byte offsets in `text` of the colons of the role labels, in order.
    pub colons: Vec<usize>,
}

impl Conversation {
    /// Validates a conversation; `index` is its index in the input, for the error.
    ///
    /// The last turn has the limits of a text. Of the turns before it, the latest are kept, up to a
    /// total of `max_chars` bytes: no model reads further back.
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

    /// Returns the text of the turn that is judged.
    pub fn last(&self) -> &Text {
        &self.last
    }

    /// Returns the number of turns in the context.
    pub fn n_context(&self) -> usize {
        self.context.len()
    }

    /// Returns the same context with another text as the last turn.
    #[must_use]
    pub fn with_last(&self, last: Text) -> Self {
        Self { last, ..self.clone() }
    }

    /// Renders each turn on a line of its own, `role: content`, with at most `n_context` turns of
    /// context.
    ///
    /// Without context, the text is the content of the last turn alone. A role label within a
    /// content loses its colon, with or without context, so that one turn cannot pass for several;
    /// otherwise a single turn scores the same as a text. Byte offsets within the last turn do not
    /// change.
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

    /// Returns the lines of the context as `render` writes them, the latest turn first.
    pub fn lines_back(&self) -> impl Iterator<Item = String> + '_ {
        self.context.iter().rev().map(Turn::line)
    }

    /// Returns all turns as `render` writes them, but with role labels within contents unchanged.
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

    /// Returns the role for a role name that chat APIs use.
    pub fn from_name(name: &str) -> Option<Self> {
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

    /// Returns the prefix of a turn of this role: its name, a colon and a space.
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

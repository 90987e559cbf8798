//! Texts, conversations and the limits they keep: inputs known to be acceptable.

mod control;
mod conversation;
mod normalise;

pub use self::control::is_control_name;
pub use self::conversation::Conversation;
pub use self::conversation::Rendered;
pub use self::conversation::Role;
pub use self::conversation::Turn;
pub use self::normalise::Lexicon;
pub use self::normalise::Plain;
use crate::error::Error;
use crate::error::Result;

/// A text with something in it, no longer than the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String); // not blank; at most Limits::max_chars characters

impl Text {
    /// Accepts one text; `index` is its place in the input, for the error.
    pub fn new(index: usize, raw: String, limits: &Limits) -> Result<Self> {
        Self::unless_blank(index, raw, limits)?.ok_or(Error::EmptyText { index })
    }

    /// Accepts one text; `None` if it is blank, that is, nothing but white space.
    pub fn unless_blank(index: usize, raw: String, limits: &Limits) -> Result<Option<Self>> {
        if raw.trim().is_empty() {
            return Ok(None);
        }
        // A character has at most four bytes, so most texts need no counting.
        if raw.len() > limits.max_chars {
            let n_chars = raw.chars().count();
            if n_chars > limits.max_chars {
                return Err(Error::TextTooLong { index, n_chars, max: limits.max_chars });
            }
        }
        Ok(Some(Self(raw)))
    }

    /// Accepts all texts of one request, or none.
    pub fn all(raws: Vec<String>, limits: &Limits) -> Result<Vec<Self>> {
        limits.check_count(raws.len())?;
        raws.into_iter().enumerate().map(|(index, raw)| Self::new(index, raw, limits)).collect()
    }

    /// The text as it came.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is judged: a text, or the last turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// By itself.
    Text(Text),
    /// In its context.
    Conversation(Conversation),
}

impl Subject {
    /// The text that is judged.
    pub fn judged(&self) -> &Text {
        match self {
            Self::Text(text) => text,
            Self::Conversation(conversation) => conversation.last(),
        }
    }

    /// The same context, if there is one, with another text to judge.
    #[must_use]
    pub fn with_judged(&self, text: Text) -> Self {
        match self {
            Self::Text(_) => Self::Text(text),
            Self::Conversation(conversation) => Self::Conversation(conversation.with_last(text)),
        }
    }
}

impl From<Text> for Subject {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

/// What one request may bring.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Texts in a request.
    pub max_texts: usize,
    /// Unicode scalar values in a text.
    pub max_chars: usize,
}

impl Limits {
    /// Refuses no texts, and too many.
    pub fn check_count(&self, n_texts: usize) -> Result<()> {
        match n_texts {
            0 => Err(Error::NoTexts),
            _ if n_texts > self.max_texts => {
                Err(Error::TooManyTexts { n_texts, max: self.max_texts })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { max_texts: 2, max_chars: 4 };

    fn code(raws: &[&str]) -> Option<&'static str> {
        let raws = raws.iter().map(|&raw| raw.to_owned()).collect();
        Text::all(raws, &LIMITS).err().map(|error| error.code())
    }

    #[test]
    fn only_texts_within_the_limits_are_accepted() {
        struct Case {
            raws: &'static [&'static str],
            code: Option<&'static str>,
        }
        for Case { raws, code: expected } in [
            Case { raws: &["a", "bcde"], code: None },
            Case { raws: &["éééé"], code: None }, // characters, not bytes
            Case { raws: &["😀😀😀😀"], code: None },
            Case { raws: &["ééééé"], code: Some("text_too_long") },
            Case { raws: &[], code: Some("no_texts") },
            Case { raws: &["a", "b", "c"], code: Some("too_many_texts") },
            Case { raws: &["a", ""], code: Some("empty_text") },
            Case { raws: &[" \t\n\u{a0}\u{3000}"], code: Some("empty_text") },
            Case { raws: &["\u{0}"], code: None }, // strange, but not blank
        ] {
            assert_eq!(code(raws), expected, "texts {raws:?}");
        }
    }

    #[test]
    fn the_error_names_the_place_of_the_empty_text() {
        let error = Text::all(vec!["a".into(), "  ".into()], &LIMITS).unwrap_err();
        assert_eq!(error.to_string(), "text 1 is empty");
    }
}

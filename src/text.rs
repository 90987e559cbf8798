//! Texts and conversations, validated against the limits of a request.

mod control;
mod conversation;
mod normalise;

pub use self::control::is_control_name;
pub use self::conversation::Conversation;
pub use self::conversation::Rendered;
pub use self::conversation::Role;
pub use self::conversation::Turn;
pub use self::normalise::Lexicon;
pub use self::normalise::NormalisedText;
use crate::error::Error;
use crate::error::Result;

/// A text that is not blank and not longer than the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String); // not blank; at most Limits::max_chars characters

impl Text {
    /// Validates one text; `index` is its index in the input, for the error.
    pub fn new(index: usize, raw: String, limits: &Limits) -> Result<Self> {
        Self::unless_blank(index, raw, limits)?.ok_or(Error::EmptyText { index })
    }

    /// Validates one text; returns `None` if it is blank, that is, only white space.
    pub fn unless_blank(index: usize, raw: String, limits: &Limits) -> Result<Option<Self>> {
        if raw.trim().is_empty() {
            return Ok(None);
        }
        // A character has at least one byte, so most texts need no counting.
        if raw.len() > limits.max_chars {
            let n_chars = raw.chars().count();
            if n_chars > limits.max_chars {
                return Err(Error::TextTooLong { index, n_chars, max: limits.max_chars });
            }
        }
        Ok(Some(Self(raw)))
    }

    /// Validates all texts of one request; fails if their number or any text is not acceptable.
    pub fn all(raws: Vec<String>, limits: &Limits) -> Result<Vec<Self>> {
        limits.check_count(raws.len())?;
        raws.into_iter().enumerate().map(|(index, raw)| Self::new(index, raw, limits)).collect()
    }

    /// Returns the text as received.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An input to judge: a text, or the last turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A text by itself.
    Text(Text),
    /// The last turn of a conversation, in its context.
    Conversation(Conversation),
}

impl Input {
    /// Returns the text that is judged.
    pub fn judged(&self) -> &Text {
        match self {
            Self::Text(text) => text,
            Self::Conversation(conversation) => conversation.last(),
        }
    }

    /// Returns an input with the same context, if there is one, and another text to judge.
    #[must_use]
    pub fn with_judged(&self, text: Text) -> Self {
        match self {
            Self::Text(_) => Self::Text(text),
            Self::Conversation(conversation) => Self::Conversation(conversation.with_last(text)),
        }
    }
}

impl From<Text> for Input {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

/// Limits on the inputs of one request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum number of texts in a request.
    pub max_texts: usize,
    /// Maximum length of a text in Unicode scalar values.
    pub max_chars: usize,
}

impl Limits {
    /// Returns an error if there are no texts or more than `max_texts`.
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

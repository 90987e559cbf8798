//! Subjects as the model reads them: in their context, and without disguise.

use std::borrow::Cow;

use crate::encode::Encoder;
use crate::encode::Window;
use crate::error::Result;
use crate::text::Conversation;
use crate::text::Plain;
use crate::text::Rendered;
use crate::text::Subject;

/// A subject as the model reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Those of the text as it came; after them, if it was disguised, those of the plain text.
    /// Their bytes are those of the text that is judged.
    pub windows: Vec<Window>,
    /// Tokens of the text as it came with its context, special tokens counted once.
    pub n_tokens: usize,
    /// Whether there are windows of the plain text.
    pub normalised: bool,
    /// Turns read as context, the nearest ones; `None` if the subject is no conversation.
    pub context_turns: Option<usize>,
}

impl Encoder {
    /// Reads a subject; `index` is its place in the input, for the error.
    pub fn read(&self, index: usize, subject: &Subject) -> Result<Reading> {
        let (text, start, colons, context_turns) = match subject {
            Subject::Text(text) => (Cow::Borrowed(text.as_str()), 0, None, None),
            Subject::Conversation(conversation) => {
                let n_context = self.n_fitting(index, conversation)?;
                let Rendered { text, start, colons } = conversation.render(n_context);
                (Cow::Owned(text), start, Some(colons), Some(n_context))
            }
        };
        let encoded = self.encode_str(index, &text)?;
        let mut windows = encoded.windows;
        let n_raw = windows.len();
        if let Some(mut plain) = self.lexicon.as_ref().and_then(|words| Plain::of(&text, words)) {
            if let Some(colons) = colons {
                plain.drop_labels_but(&colons);
            }
            let bare = self.encode_str(index, plain.as_str())?.windows;
            // What the tokenizer sees through by itself need not be read twice.
            if !std::iter::zip(&bare, &windows).all(|(one, other)| one.ids == other.ids)
                || bare.len() != n_raw
            {
                windows.extend(
                    bare.into_iter().map(|window| Window {
                        bytes: plain.original(window.bytes),
                        ids: window.ids,
                    }),
                );
            }
        }
        for window in &mut windows {
            let bytes = window.bytes.clone();
            window.bytes = bytes.start.saturating_sub(start)..bytes.end.saturating_sub(start);
        }
        let normalised = windows.len() > n_raw;
        Ok(Reading { windows, n_tokens: encoded.n_tokens, normalised, context_turns })
    }

    /// How many turns of the context one window has room for beside the last turn.
    fn n_fitting(&self, index: usize, conversation: &Conversation) -> Result<usize> {
        let last = self.encode_str(index, conversation.last().as_str())?;
        let mut room = self.windows.max_tokens().saturating_sub(last.n_tokens + LABEL_TOKENS);
        let mut n_context = 0;
        for line in conversation.lines_back() {
            let n_tokens = self.encode_str(index, &line)?.n_tokens - self.windows.n_special();
            if n_tokens > room {
                break;
            }
            room -= n_tokens;
            n_context += 1;
        }
        Ok(n_context)
    }
}

impl Reading {
    /// Tokens that the model reads: overlaps and special tokens counted in every window.
    pub fn n_window_tokens(&self) -> usize {
        self.windows.iter().map(|window| window.ids.len()).sum()
    }
}

/// Room for `assistant: ` before the last turn, whatever the tokenizer makes of it.
const LABEL_TOKENS: usize = 8;

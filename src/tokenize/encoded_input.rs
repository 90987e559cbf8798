//! Tokenises inputs, in their context and with obfuscation removed.

use std::borrow::Cow;

use crate::error::Result;
use crate::text::Conversation;
use crate::text::Input;
use crate::text::NormalisedText;
use crate::text::Rendered;
use crate::tokenize::Tokenizer;
use crate::tokenize::Window;

/// An encoded input: its windows and how they came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedInput {
    /// The windows of the raw text, then, if it was obfuscated, those of the normalised text. Their
    /// byte ranges are in the text that is judged.
    pub windows: Vec<Window>,
    /// Number of tokens of the raw text with its context, special tokens counted once.
    pub n_tokens: usize,
    /// Whether there are windows of the normalised text.
    pub normalised: bool,
    /// Number of turns included as context, the nearest ones; `None` if the input is not a
    /// conversation.
    pub context_turns: Option<usize>,
}

impl Tokenizer {
    /// Tokenises an input; `index` is its index in the request, for errors.
    pub fn encode_input(&self, index: usize, input: &Input) -> Result<EncodedInput> {
        let (text, start, colons, context_turns) = match input {
            Input::Text(text) => (Cow::Borrowed(text.as_str()), 0, None, None),
            Input::Conversation(conversation) => {
                let n_context = self.n_fitting(index, conversation)?;
                let Rendered { text, start, colons } = conversation.render(n_context);
                (Cow::Owned(text), start, Some(colons), Some(n_context))
            }
        };
        let encoded = self.encode_str(index, &text)?;
        let mut windows = encoded.windows;
        let n_raw = windows.len();
        if let Some(mut plain) =
            self.lexicon.as_ref().and_then(|words| NormalisedText::new(&text, words))
        {
            if let Some(colons) = colons {
                plain.drop_labels_but(&colons);
            }
            let bare = self.encode_str(index, plain.as_str())?.windows;
            // An obfuscation that the tokenizer itself removes need not be scored twice.
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
        Ok(EncodedInput { windows, n_tokens: encoded.n_tokens, normalised, context_turns })
    }

    /// Returns how many turns of context fit into one window with the last turn.
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

impl EncodedInput {
    /// Returns the number of tokens in all windows: overlaps and special tokens count in each.
    pub fn n_window_tokens(&self) -> usize {
        self.windows.iter().map(|window| window.ids.len()).sum()
    }
}

/// Tokens reserved for `assistant: ` before the last turn, with any tokenizer.
const LABEL_TOKENS: usize = 8;

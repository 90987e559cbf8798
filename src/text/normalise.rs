//! Normalises texts: undoes obfuscation that keeps words from being recognised.

mod glyphs;
mod homoglyphs;
mod leet;
mod lexicon;
mod markers;
mod quick_check;
mod spacing;
mod spelling;

use std::ops::Range;

use self::glyphs::Glyph;
pub use self::lexicon::Lexicon;
pub(super) use self::spelling::ends_in;

/// A normalised text, with the origin of each character in the original text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NormalisedText {
    text: String,
    origins: Vec<Origin>, // one for each character; no field ever decreases
}

impl NormalisedText {
    /// Normalises a text; returns `None` if the text is not obfuscated.
    ///
    /// Takes time linear in the length of the text, and hardly any for ordinary prose.
    pub fn new(text: &str, lexicon: &Lexicon) -> Option<Self> {
        let is_plain = quick_check::is_plain(text);
        if is_plain && !markers::are_likely(text) {
            return None;
        }
        let mut obfuscated = false;
        let mut glyphs = glyphs::read(text, &mut obfuscated);
        // The order matters: a spaced word may contain foreign letters and digits, and have
        // markers between its letters.
        homoglyphs::replace(&mut glyphs, lexicon, &mut obfuscated);
        let glyphs = markers::drop(glyphs, lexicon, &mut obfuscated);
        if is_plain && !obfuscated {
            return None;
        }
        let mut glyphs = spacing::join(glyphs, lexicon, &mut obfuscated);
        leet::replace(&mut glyphs, lexicon, &mut obfuscated);
        obfuscated.then(|| Self::spell(&glyphs)).filter(|plain| plain.text != text)
    }

    /// Returns the normalised text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Maps a byte range of the normalised text to the byte range of the original that it came
    /// from.
    ///
    /// A range that is out of bounds is clamped, and one that splits a character is widened, so the
    /// result always lies on character boundaries of the original.
    pub fn original(&self, bytes: Range<usize>) -> Range<usize> {
        let Some(last) = self.origins.last() else {
            return 0..0;
        };
        // The character that contains a byte is the last one that begins at or before the byte.
        let holder = |byte: usize| {
            let after = self.origins.partition_point(|origin| origin.at <= byte);
            &self.origins[after.saturating_sub(1)]
        };
        let start = if bytes.start < self.text.len() { holder(bytes.start).from } else { last.to };
        if bytes.is_empty() {
            return start..start;
        }
        start..holder(bytes.end - 1).to.max(start)
    }

    /// Replaces the text by a changed one of the same length in bytes; origins stay as they are.
    pub(super) fn respell(&mut self, change: impl FnOnce(&Self) -> String) {
        let text = change(self);
        debug_assert_eq!(text.len(), self.text.len(), "a byte has changed its place");
        self.text = text;
    }

    fn spell(glyphs: &[Glyph]) -> Self {
        let mut text = String::with_capacity(glyphs.len());
        let mut origins = Vec::with_capacity(glyphs.len());
        for glyph in glyphs {
            origins.push(Origin { at: text.len(), from: glyph.from, to: glyph.to });
            text.push(glyph.letter);
        }
        Self { text, origins }
    }
}

/// The byte offset of a character in the normalised text, and its byte range in the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    at: usize,
    from: usize,
    to: usize,
}

#[cfg(test)]
mod tests;

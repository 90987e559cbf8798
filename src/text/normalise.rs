//! Texts without the disguises that keep a word from being recognised.

mod glance;
mod glyphs;
mod homoglyphs;
mod leet;
mod lexicon;
mod markers;
mod spacing;
mod spelling;

use std::ops::Range;

use self::glyphs::Glyph;
pub use self::lexicon::Lexicon;
pub(super) use self::spelling::ends_in;

/// A text without its disguises, and where each part of it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    text: String,
    origins: Vec<Origin>, // one for each character; neither `at` nor the bytes ever go back
}

impl Plain {
    /// Undoes the disguises of a text; none if it has none.
    ///
    /// Takes time linear in the length of the text, and for ordinary prose hardly any.
    pub fn of(text: &str, lexicon: &Lexicon) -> Option<Self> {
        let is_plain = glance::is_plain(text);
        if is_plain && !markers::are_likely(text) {
            return None;
        }
        let mut disguised = false;
        let mut glyphs = glyphs::read(text, &mut disguised);
        // In this order, since a spaced word may be made of foreign letters and of digits, and have
        // marks between its letters.
        homoglyphs::replace(&mut glyphs, lexicon, &mut disguised);
        let glyphs = markers::drop(glyphs, lexicon, &mut disguised);
        if is_plain && !disguised {
            return None;
        }
        let mut glyphs = spacing::join(glyphs, lexicon, &mut disguised);
        leet::replace(&mut glyphs, lexicon, &mut disguised);
        disguised.then(|| Self::spell(&glyphs)).filter(|plain| plain.text != text)
    }

    /// The text to read instead.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes of the original that a range of bytes of the plain text stems from.
    ///
    /// What is out of bounds or within a character is widened or cut to what there is, so that the
    /// result lies on characters of the original whatever is asked.
    pub fn original(&self, bytes: Range<usize>) -> Range<usize> {
        let Some(last) = self.origins.last() else {
            return 0..0;
        };
        // The character that holds a byte is the last that begins no later.
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

    /// Spells characters of the text otherwise, in as many bytes as before.
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

/// Where a character of the plain text begins, and the bytes of the original it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    at: usize,
    from: usize,
    to: usize,
}

#[cfg(test)]
mod tests;

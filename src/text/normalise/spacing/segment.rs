//! Splits letters without gaps into the likeliest words.

use super::super::lexicon::Lexicon;

/// Returns the lengths of the words that letters consist of, or `None` if no split is plausible.
pub(super) fn segment(letters: &str, lexicon: &Lexicon) -> Option<Vec<usize>> {
    let readings = ['i', 'l'].map(|stroke| plain(letters, stroke));
    let cuts = readings.iter().map(|reading| Segmentation::new(reading, lexicon));
    let cut = cuts.min_by(|one, other| one.cost.total_cmp(&other.cost))?;
    cut.is_sensible().then_some(cut.lens)
}

/// Replaces digits and symbols by the letters that they stand for, with `stroke` for all vertical
/// strokes, and drops apostrophes.
fn plain(letters: &str, stroke: char) -> String {
    let plain = letters.chars().filter(|&letter| letter != '\'').map(|letter| match letter {
        'a'..='z' => letter,
        '0' => 'o',
        '1' | '!' => stroke,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        _ => '?', // so that it is part of no word
    });
    plain.collect()
}

/// A way to split letters into words.
struct Segmentation {
    lens: Vec<usize>,
    cost: f32,
    n_unknown: usize,
    longest: usize,
}

impl Segmentation {
    /// Returns the cheapest split of ASCII letters, in time linear in their number.
    fn new(letters: &str, lexicon: &Lexicon) -> Self {
        let mut best = vec![Step { cost: 0.0, len: 0, is_known: true }];
        for end in 1..=letters.len() {
            let last = &best[end - 1];
            let unknown = last.cost + lexicon.cost_of_unknown();
            let mut step = Step { cost: unknown, len: 1, is_known: false };
            for len in 1..=end.min(MAX_WORD) {
                if let Some(cost) = lexicon.cost(&letters[end - len..end]) {
                    let cost = best[end - len].cost + cost;
                    if cost < step.cost {
                        step = Step { cost, len, is_known: true };
                    }
                }
            }
            best.push(step);
        }
        Self::back(&best)
    }

    /// Builds the split by following the steps from the last to the first.
    fn back(best: &[Step]) -> Self {
        let mut end = best.len() - 1;
        let mut cut = Self { lens: vec![], cost: best[end].cost, n_unknown: 0, longest: 0 };
        while end > 0 {
            let step = &best[end];
            cut.lens.push(step.len);
            cut.n_unknown += usize::from(!step.is_known);
            if step.is_known {
                cut.longest = cut.longest.max(step.len);
            }
            end -= step.len;
        }
        cut.lens.reverse();
        cut
    }

    /// Returns whether random letters would be unlikely to give such words.
    fn is_sensible(&self) -> bool {
        let n_letters: usize = self.lens.iter().sum();
        let is_too_costly = self.cost > MAX_COST_OF_LETTER * n_letters as f32;
        self.longest >= 3 && 5 * self.n_unknown <= n_letters && !is_too_costly
    }
}

/// The last word of the cheapest split of the letters before an index.
struct Step {
    cost: f32,
    len: usize,
    is_known: bool,
}

/// The longest words of a vocabulary have about twenty letters.
const MAX_WORD: usize = 20;
/// English phrases cost about 2.2 nats per letter, random letters 3.9.
const MAX_COST_OF_LETTER: f32 = 3.0;

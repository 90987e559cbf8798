//! Recognises labels for harmless texts by the usual names in models.

/// Returns the labels for harmless texts, in order.
///
/// A name counts only if no other meaning is likely: ignoring a label that means harm would hide
/// the harm, while a harmless label that is missed is visible in every response.
pub fn benign_labels(labels: &[String]) -> Vec<String> {
    let words: Vec<Vec<String>> = labels.iter().map(|label| words(label)).collect();
    let is_benign = |index: &usize| is_benign(&words[*index], &words);
    (0..labels.len()).filter(is_benign).map(|index| labels[index].clone()).collect()
}

fn is_benign(label: &[String], all: &[Vec<String>]) -> bool {
    if let [negation, rest @ ..] = label
        && NEGATIONS.contains(&negation.as_str())
        && !rest.is_empty()
    {
        return negates_harm(rest, all);
    }
    if let Some(rest) = strip_negation_prefix(label, all) {
        return negates_harm(&rest, all);
    }
    matches!(without_carriers(label), [word] if HARMLESS.contains(&word.as_str()))
}

/// Returns the label without its negation prefix if the rest is another label: `hate` for `nothate`
/// beside `hate`, but nothing for `nonsense` unless there is a label `sense`.
fn strip_negation_prefix(label: &[String], all: &[Vec<String>]) -> Option<Vec<String>> {
    let [glued, others @ ..] = label else { return None };
    let rests = NEGATIONS.iter().filter_map(|negation| glued.strip_prefix(negation));
    let labels = rests.map(|rest| [&[rest.to_owned()], others].concat());
    labels.into_iter().find(|label| all.contains(label))
}

/// Returns whether the words after a negation name a single harm: a usual one, or another label.
fn negates_harm(words: &[String], all: &[Vec<String>]) -> bool {
    let harm = without_carriers(words);
    let is_usual = matches!(harm, [word] if HARMS.iter().any(|stem| word.starts_with(stem)));
    let is_label = all.iter().any(|other| without_carriers(other) == harm);
    // Several words may be a harm of their own: `non-violent crimes`.
    let is_one = harm.len() == 1 || all.len() == 2;
    let is_good =
        |word: &String| [HARMLESS, DESIRABLE].iter().any(|good| good.contains(&word.as_str()));
    (is_usual || (is_label && is_one)) && !harm.iter().any(is_good)
}

/// Removes trailing carrier words; a carrier on its own stays.
fn without_carriers(mut words: &[String]) -> &[String] {
    while let [before @ .., last] = words
        && !before.is_empty()
        && SUFFIX_NOUNS.contains(&last.as_str())
    {
        words = before;
    }
    words
}

/// Splits a label into lower-case words at characters other than letters and digits, and at camel
/// case as in `noHate`.
fn words(label: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_after_lower = false;
    for character in label.chars() {
        if !character.is_alphanumeric() || (is_after_lower && character.is_uppercase()) {
            words.push(String::new());
        }
        if character.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(character.to_lowercase());
        }
        is_after_lower = character.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The usual names of harmless labels, from model cards.
const HARMLESS: &[&str] = &[
    "acceptable",
    "appropriate",
    "benign",
    "clean",
    "ham",
    "harmless",
    "innocuous",
    "inoffensive",
    "legit",
    "legitimate",
    "neither",
    "neutral",
    "none",
    "normal",
    "ok",
    "okay",
    "safe",
    "sfw",
    "unharmful",
];

const NEGATIONS: &[&str] = &["no", "non", "not"];

/// Words that may follow a harm or a harmless name: `not hate speech`, `safe content`.
const SUFFIX_NOUNS: &[&str] = &["comment", "content", "language", "message", "speech", "text"];

/// Stems of the usual words for harms, whose negation is harmless even if no label consists of the
/// harm alone.
const HARMS: &[&str] = &[
    "abus",
    "aggress",
    "attack",
    "bully",
    "clickbait",
    "cyberbully",
    "discriminat",
    "disinformation",
    "dox",
    "erotic",
    "explicit",
    "extremis",
    "fake",
    "flag",
    "fraud",
    "harass",
    "harmful",
    "hate",
    "hateful",
    "hatred",
    "hazard",
    "homophob",
    "illegal",
    "inappropriate",
    "injection",
    "insult",
    "jailbreak",
    "leak",
    "malicious",
    "malware",
    "misinformation",
    "misogyn",
    "nsfw",
    "nude",
    "nudity",
    "obscen",
    "offen",
    "phishing",
    "porn",
    "profan",
    "propaganda",
    "racis",
    "rude",
    "scam",
    "selfharm",
    "sexis",
    "sexual",
    "slur",
    "spam",
    "stalk",
    "suicid",
    "terror",
    "threat",
    "toxic",
    "transphob",
    "unsaf",
    "violat",
    "violen",
    "vulgar",
];

/// Words whose negation is a harm, such as `non-consensual`; the same holds for every harmless
/// name.
const DESIRABLE: &[&str] = &[
    "accepted",
    "accurate",
    "advised",
    "allowed",
    "approved",
    "authentic",
    "authorised",
    "authorized",
    "civil",
    "compliance",
    "compliant",
    "consensual",
    "consent",
    "consented",
    "consenting",
    "constructive",
    "correct",
    "credible",
    "eligible",
    "entailed",
    "entailment",
    "ethical",
    "factual",
    "fair",
    "faithful",
    "friendly",
    "genuine",
    "good",
    "grounded",
    "healthy",
    "helpful",
    "honest",
    "human",
    "inclusive",
    "kind",
    "lawful",
    "legal",
    "licensed",
    "moral",
    "permitted",
    "polite",
    "positive",
    "proper",
    "real",
    "recommended",
    "relevant",
    "reliable",
    "respectful",
    "secure",
    "suitable",
    "supported",
    "topic",
    "true",
    "trusted",
    "trustworthy",
    "truthful",
    "valid",
    "verified",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benign_labels_are_recognised_by_their_usual_names() {
        for (labels, benign) in [
            (&["safe", "harmful"][..], &["safe"][..]),
            (&["Harmful", "SAFE"], &["SAFE"]),
            (&["neutral", "toxic"], &["neutral"]),
            (&["benign", "injection"], &["benign"]),
            (&["ham", "spam"], &["ham"]),
            (&["normal", "hatespeech", "offensive"], &["normal"]),
            (&["OK", "S", "H"], &["OK"]),
            (&["hate speech", "offensive language", "neither"], &["neither"]),
            (&["not_toxic", "toxic"], &["not_toxic"]),
            (&["not-toxic", "toxic"], &["not-toxic"]),
            (&["Not Toxic", "Toxic"], &["Not Toxic"]),
            (&["non-toxic", "toxic"], &["non-toxic"]),
            (&["non_hate", "hate"], &["non_hate"]),
            (&["NON-HATE", "HATE"], &["NON-HATE"]),
            (&["nothate", "hate"], &["nothate"]),
            (&["NotHate", "Hate"], &["NotHate"]),
            (&["noHate", "hate"], &["noHate"]),
            (&["nospam", "spam"], &["nospam"]),
            (&["no_violation", "insult"], &["no_violation"]),
            (&["not hate speech", "hateful"], &["not hate speech"]),
            (&["Non-offensive language", "Offensive language"], &["Non-offensive language"]),
            (&["not-self-harm", "self-harm"], &["not-self-harm"]),
            (&["safe", "neutral", "threat"], &["safe", "neutral"]),
            (&["safe content", "harmful content"], &["safe content"]),
            (&["clean_text", "spam_text"], &["clean_text"]),
            (&["normal language", "hate speech", "insults"], &["normal language"]),
            (&["nonhate speech", "hate speech", "insults"], &["nonhate speech"]),
            (&["safe", "notsafe"], &["safe"]),
            (&["non_toxic", "insulting", "obscene"], &["non_toxic"]),
            (&["not_leak", "leak", "cats"], &["not_leak"]),
            (&["not_cats", "cats"], &["not_cats"]),
        ] {
            assert_eq!(recognised(labels), benign, "{labels:?}");
        }
    }

    #[test]
    fn a_name_that_may_stand_for_harm_is_not_taken_for_a_harmless_one() {
        for labels in [
            &["LABEL_0", "LABEL_1"][..],
            &["0", "1"],
            &["no", "yes"],
            &["negative", "positive"],
            &["", "-"],
            &["no", "-"],
            &["unclean", "abnormal"],
            &["not_safe", "not safe for work", "not_ok", "Not Appropriate"],
            &["non-consensual", "non_consensual_content", "no consent"],
            &["violent crimes", "non-violent crimes", "sex crimes"],
            &["non-sexual abuse", "not for children"],
            &["nonsense", "notorious", "nonconsensual", "nothing"],
            &["not legal", "not_true", "non_compliant"],
            &["normalisation of violence", "safety", "safe_for_nobody"],
            &["consensual", "nonconsensual"],
            &["compliant", "noncompliant"],
            &["factual", "nonfactual"],
            &["legal", "nonlegal"],
            &["consensual content", "nonconsensual content"],
            // The negated word may just as well be desirable.
            &["not_consenting", "not_accepted", "non_disclosure", "non_payment"],
            &["no_context", "not_english", "no_warning", "not_child", "non_sense"],
            &["approved", "not_approved", "spam"],
            &["not_licensed", "licensed"],
        ] {
            assert!(recognised(labels).is_empty(), "{:?}", recognised(labels));
        }
    }

    #[test]
    fn the_negation_of_a_good_word_is_a_harm() {
        for good in [
            "accurate",
            "authentic",
            "civil",
            "constructive",
            "correct",
            "credible",
            "entailed",
            "entailment",
            "ethical",
            "fair",
            "faithful",
            "family friendly",
            "friendly",
            "genuine",
            "grounded",
            "healthy",
            "helpful",
            "honest",
            "human",
            "inclusive language",
            "kind",
            "lawful",
            "moral",
            "on topic",
            "polite",
            "positive",
            "proper",
            "relevant",
            "reliable",
            "respectful",
            "secure",
            "supported",
            "trusted",
            "trustworthy",
            "truthful",
            "valid",
        ] {
            for negation in ["not", "non", "no"] {
                let labels = [format!("{negation} {good}"), good.to_owned()];
                assert!(benign_labels(&labels).is_empty(), "{labels:?}");
            }
        }
    }

    fn recognised(labels: &[&str]) -> Vec<String> {
        let labels: Vec<_> = labels.iter().map(|&label| label.to_owned()).collect();
        benign_labels(&labels)
    }
}

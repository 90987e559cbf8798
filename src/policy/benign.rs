//! Labels that stand for harmless texts, recognised by the names that models give them.

/// The labels that stand for harmless texts, in order.
///
/// A name counts only if nothing else is a likely meaning: to leave out a label that stands for
/// harm would hide it, while a harmless label that is missed shows in every answer.
pub fn benign_labels(labels: &[String]) -> Vec<String> {
    let words: Vec<Vec<String>> = labels.iter().map(|label| words(label)).collect();
    let is_benign = |place: &usize| is_benign(&words[*place], &words);
    (0..labels.len()).filter(is_benign).map(|place| labels[place].clone()).collect()
}

fn is_benign(label: &[String], all: &[Vec<String>]) -> bool {
    let is_other = |rest: &[String]| all.iter().any(|other| other == rest);
    match label {
        [word] if HARMLESS.contains(&word.as_str()) => true,
        // `nothate`, but not `nonsense`: only beside a label `hate`.
        [word] => NEGATIONS.iter().any(|negation| {
            word.strip_prefix(negation).is_some_and(|rest| is_other(&[rest.to_owned()]))
        }),
        [negation, rest @ ..] if NEGATIONS.contains(&negation.as_str()) => {
            let mut harm = rest;
            while let [before @ .., last] = harm
                && !before.is_empty()
                && CARRIERS.contains(&last.as_str())
            {
                harm = before;
            }
            // More than one word may be a harm of its own: `non-violent crimes`.
            let is_one_harm = harm.len() == 1 || (all.len() == 2 && is_other(rest));
            let is_good = |word: &String| {
                HARMLESS.contains(&word.as_str()) || WELCOME.contains(&word.as_str())
            };
            is_one_harm && !harm.iter().any(is_good)
        }
        _ => false,
    }
}

/// Lower-case words: between them is anything but letters and digits, or the hump of `noHate`.
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

/// The usual names, from model cards.
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

/// What carries a harm, and is none: `not hate speech`.
const CARRIERS: &[&str] = &["comment", "content", "language", "message", "speech", "text"];

/// Words whose negation is a harm, such as `non-consensual`; so is that of every harmless name.
const WELCOME: &[&str] = &[
    "allowed",
    "authorised",
    "authorized",
    "compliance",
    "compliant",
    "consensual",
    "consent",
    "factual",
    "good",
    "legal",
    "permitted",
    "real",
    "suitable",
    "true",
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
            &["unclean", "abnormal"],
            &["not_safe", "not safe for work", "not_ok", "Not Appropriate"],
            &["non-consensual", "non_consensual_content", "no consent"],
            &["violent crimes", "non-violent crimes", "sex crimes"],
            &["non-sexual abuse", "not for children"],
            &["nonsense", "notorious", "nonconsensual", "nothing"],
            &["not legal", "not_true", "non_compliant"],
            &["normalisation of violence", "safety", "safe_for_nobody"],
        ] {
            assert!(recognised(labels).is_empty(), "{:?}", recognised(labels));
        }
    }

    fn recognised(labels: &[&str]) -> Vec<String> {
        let labels: Vec<_> = labels.iter().map(|&label| label.to_owned()).collect();
        benign_labels(&labels)
    }
}

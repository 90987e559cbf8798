//! Settings for the head of each model, from the flags.

use std::collections::BTreeMap;

use crate::cli::args::NamedActivation;
use crate::cli::args::NamedSource;
use crate::error::Error;
use crate::error::Result;
use crate::model::HeadSettings;

/// Returns the head settings by model name; a single model may be unnamed.
pub(super) fn heads(
    models: &[NamedSource],
    activations: &[NamedActivation],
    benign_labels: &[String],
) -> Result<BTreeMap<Option<String>, HeadSettings>> {
    let mut heads: BTreeMap<_, HeadSettings> = BTreeMap::new();
    for NamedActivation { name, activation } in activations {
        let slot = slot(models, "activation", name.as_deref())?;
        if heads.entry(slot).or_default().activation.replace(*activation).is_some() {
            let reason = "given twice for one model".into();
            return Err(Error::Config { name: "activation", reason });
        }
    }
    for (name, labels) in benign_labels.iter().flat_map(|text| by_name(models, text)) {
        let slot = slot(models, "benign-label", name)?;
        heads.entry(slot).or_default().benign_labels.push(labels);
    }
    Ok(heads)
}

/// Returns the name of the model that a setting applies to: the one named, else the only one.
fn slot(
    models: &[NamedSource],
    setting: &'static str,
    name: Option<&str>,
) -> Result<Option<String>> {
    let names: Vec<_> = models.iter().filter_map(|model| model.name.as_deref()).collect();
    let reason = match (name, models) {
        (None, [only]) => return Ok(only.name.clone()),
        (Some(name), _) if names.contains(&name) => return Ok(Some(name.to_owned())),
        (None, _) => format!("of several models, say which: NAME=VALUE, of {}", names.join(", ")),
        (Some(name), _) if names.is_empty() => {
            format!("no model is named {name:?}: give it the name with --model {name}=SOURCE")
        }
        (Some(name), _) => {
            format!("no model is named {name:?}; the models are {}", names.join(", "))
        }
    };
    Err(Error::Config { name: setting, reason })
}

/// Splits `LABEL`, `NAME=LABEL` or a comma-separated list of them into one string per model. A
/// label may contain `=` and `,` itself, so only the name of a known model starts a new string.
fn by_name<'a>(models: &[NamedSource], text: &'a str) -> Vec<(Option<&'a str>, String)> {
    let is_name = |name: &str| models.iter().any(|model| model.name.as_deref() == Some(name));
    let mut all: Vec<(Option<&str>, String)> = Vec::new();
    for part in text.split(',') {
        let named = part.split_once('=').filter(|(name, _)| is_name(name));
        match (named, all.last_mut()) {
            (Some((name, label)), _) => all.push((Some(name), label.to_owned())),
            (None, None) => all.push((None, part.to_owned())),
            (None, Some((_, labels))) => {
                labels.push(',');
                labels.push_str(part);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::Activation;

    fn models(texts: &[&str]) -> Vec<NamedSource> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn labels(models: &[NamedSource], texts: &[&str]) -> Result<Vec<(String, Vec<String>)>> {
        let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
        let heads = heads(models, &[], &texts)?;
        let named = |(name, head): (Option<String>, HeadSettings)| {
            (name.unwrap_or_default(), head.benign_labels)
        };
        Ok(heads.into_iter().map(named).collect())
    }

    #[test]
    fn labels_go_to_the_model_that_is_named_or_to_the_only_one() {
        let (unnamed, one) = (models(&["embedded"]), models(&["a=embedded"]));
        let two = models(&["a=embedded", "b=embedded"]);
        for (models, texts, expected) in [
            (&unnamed, &["fine"][..], &[("", &["fine"][..])][..]),
            (&unnamed, &["x=y"], &[("", &["x=y"])]),
            (&unnamed, &["fine", "good, really"], &[("", &["fine", "good, really"])]),
            (&one, &["fine"], &[("a", &["fine"])]),
            (&one, &["a=fine"], &[("a", &["fine"])]),
            (&two, &["a=fine", "b=good"], &[("a", &["fine"]), ("b", &["good"])]),
            (&two, &["a=fine,x=y,b=good,better"], &[("a", &["fine,x=y"]), ("b", &["good,better"])]),
        ] {
            let expected = expected.iter().map(|(name, labels)| {
                ((*name).to_owned(), labels.iter().map(|&label| label.to_owned()).collect())
            });
            let expected: Vec<(String, Vec<String>)> = expected.collect();
            assert_eq!(labels(models, texts).unwrap(), expected, "{texts:?}");
        }
        let error = labels(&two, &["fine"]).unwrap_err().to_string();
        assert_eq!(error, "benign-label: of several models, say which: NAME=VALUE, of a, b");
    }

    #[test]
    fn an_activation_needs_a_model_of_its_name_and_comes_once() {
        let (unnamed, two) = (models(&["embedded"]), models(&["a=embedded", "b=embedded"]));
        for (models, texts, expected) in [
            (&unnamed, &["sigmoid"][..], Ok(&[(None, Activation::Sigmoid)][..])),
            (&two, &["b=softmax"], Ok(&[(Some("b"), Activation::Softmax)])),
            (&two, &["sigmoid"], Err("of several models, say which: NAME=VALUE, of a, b")),
            (&two, &["c=sigmoid"], Err("no model is named \"c\"; the models are a, b")),
            (&two, &["a=sigmoid", "a=sigmoid"], Err("given twice for one model")),
            (
                &unnamed,
                &["c=sigmoid"],
                Err("no model is named \"c\": give it the name with --model c=SOURCE"),
            ),
        ] {
            let activations: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let given = heads(models, &activations, &[]).map_err(|error| error.to_string());
            let given = given.map(|heads| {
                heads.into_iter().map(|(name, head)| (name, head.activation)).collect::<Vec<_>>()
            });
            let expected = expected.map_err(|reason| format!("activation: {reason}"));
            let expected = expected.map(|heads| {
                let head = |(name, activation): &(Option<&str>, _)| {
                    (name.map(str::to_owned), Some(*activation))
                };
                heads.iter().map(head).collect::<Vec<_>>()
            });
            assert_eq!(given, expected, "{texts:?}");
        }
        assert!("a=tanh".parse::<NamedActivation>().is_err());
    }
}

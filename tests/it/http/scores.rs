//! From the logits of a head to the scores in a response: activation, calibration, policy.

use moderato::http::App;
use moderato::model::PolicyFile;
use moderato::policy::Policy;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use super::contracts::ask;
use crate::support;

/// The logits of the head, for any text.
const LOGITS: [f32; 4] = [2.0, 0.5, -1.0, 0.25];

#[tokio::test]
async fn a_softmax_head_scores_shares_of_one() {
    let folder = constant("single_label_classification", None);
    let scores = scores(&support::app(support::model_of(folder.path()))).await;
    let sum: f64 = LOGITS.iter().map(|logit| f64::from(*logit).exp()).sum();
    let expected = LOGITS.map(|logit| f64::from(logit).exp() / sum);
    assert_near(&scores, &expected);
    assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{scores:?}");
}

#[tokio::test]
async fn a_sigmoid_head_scores_each_label_for_itself() {
    let folder = constant("multi_label_classification", None);
    let scores = scores(&support::app(support::model_of(folder.path()))).await;
    assert_near(&scores, &LOGITS.map(|logit| sigmoid(f64::from(logit))));
}

#[tokio::test]
async fn the_labels_of_either_head_are_calibrated_whatever_the_policy() {
    let platt = |scale: f64, offset: f64| json!({"scale": scale, "offset": offset});
    let labels = json!({
        "spam": platt(0.5, -1.0), "insult": platt(2.0, 0.5),
        "threat": platt(1.0, 0.0), "leak": platt(1.5, -0.25),
    });
    let calibrate = |log_odds: [f64; 4]| {
        [
            sigmoid(0.5 * log_odds[0] - 1.0),
            sigmoid(2.0 * log_odds[1] + 0.5),
            sigmoid(log_odds[2]),
            sigmoid(1.5 * log_odds[3] - 0.25),
        ]
    };
    let sum: f64 = LOGITS.iter().map(|logit| f64::from(*logit).exp()).sum();
    let share = |logit: f32| f64::from(logit).exp() / sum;
    let softmax = LOGITS.map(|logit| (share(logit) / (1.0 - share(logit))).ln());
    for (problem_type, log_odds) in [
        ("multi_label_classification", LOGITS.map(f64::from)),
        ("single_label_classification", softmax),
    ] {
        let folder = constant(problem_type, Some(&labels));
        let expected = calibrate(log_odds);
        let own = scores(&support::app(support::model_of(folder.path()))).await;
        assert_near(&own, &expected);
        // Categories that are renamed, merged and reordered; one label is in none.
        let app = support::app(support::model_under(folder.path(), vec![merged()]));
        let highest = expected[0].max(expected[2]);
        assert_near(&scores(&app).await, &[expected[3], highest]);
    }
}

/// Returns a policy of two categories: one with another name, one with two labels.
fn merged() -> PolicyFile {
    let labels = ["leak", "spam"].map(str::to_owned);
    let mut policy = Policy::from_labels(&labels, Vec::new());
    policy.categories[0].id = "data".into();
    policy.categories[1].labels.push("threat".into());
    PolicyFile { file: "merged.toml".into(), policy }
}

/// Copies the tiny model with a head that always returns [`LOGITS`].
fn constant(problem_type: &str, calibration: Option<&Value>) -> TempDir {
    let folder = support::tiny_copy();
    support::replace_head(folder.path(), &LOGITS);
    let path = folder.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config["problem_type"] = problem_type.into();
    std::fs::write(path, config.to_string()).unwrap();
    if let Some(labels) = calibration {
        let file = json!({"method": "platt", "version": "1", "labels": labels});
        std::fs::write(folder.path().join("calibration.json"), file.to_string()).unwrap();
    }
    folder
}

/// Returns the scores of all categories, in the order of the policy.
async fn scores(app: &App) -> Vec<f64> {
    let answer = ask(app, "/v1/score", &json!({"input": "good morning"})).await;
    let categories = answer.body["results"][0]["categories"].as_object().unwrap();
    categories.values().map(|category| category["score"].as_f64().unwrap()).collect()
}

fn sigmoid(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// Scores are rounded to 32 bits.
fn assert_near(scores: &[f64], expected: &[f64]) {
    assert_eq!(scores.len(), expected.len(), "{scores:?}");
    let is_near = |(score, expected): (&f64, &f64)| (score - expected).abs() < 1e-6;
    assert!(std::iter::zip(scores, expected).all(is_near), "{scores:?} for {expected:?}");
}

//! Evaluation: agreement with scikit-learn, and edge cases of the figures.

use moderato::evaluate::CategoryReport;
use moderato::evaluate::Evaluation;
use moderato::evaluate::Labelled;
use moderato::evaluate::evaluate;
use moderato::policy::Threshold;
use ndarray::Array1;
use ndarray::Array2;
use ndarray::Axis;
use ndarray::array;
use ndarray::s;
use serde::Deserialize;
use serde_json::Value;

#[test]
fn every_figure_agrees_with_scikit_learn() {
    for case in golden() {
        let evaluation = serde_json::to_value(case.evaluation()).unwrap();
        assert_close(&case.name, &case.expected, &evaluation);
    }
}

#[test]
fn the_order_of_texts_changes_nothing() {
    for case in golden() {
        let backwards = s![..;-1, ..];
        let (scores, labels) =
            (case.scores().slice_move(backwards), case.labels().slice_move(backwards));
        let reversed = measure(&scores, &labels, &case.thresholds).unwrap();
        let [forward, reversed] =
            [case.evaluation(), reversed].map(|it| serde_json::to_value(it).unwrap());
        assert_close(&case.name, &forward, &reversed);
    }
}

#[test]
fn ranking_figures_survive_doubling_every_score() {
    for case in golden() {
        let doubled = measure(&(case.scores() * 2.0), &case.labels(), &case.thresholds).unwrap();
        for (col, (original, doubled)) in
            std::iter::zip(case.evaluation().categories, doubled.categories).enumerate()
        {
            // Doubling is exact, even for the smallest numbers, so every rate has the same counts.
            let ranking = |report: &CategoryReport| {
                [
                    report.average_precision,
                    report.roc_auc,
                    report.best_f1,
                    report.recall_at_1pct_fpr,
                ]
            };
            assert_eq!(ranking(&original), ranking(&doubled), "{}, category {col}", case.name);
        }
    }
}

#[test]
fn a_tied_score_counts_once() {
    // In either order, no threshold separates the two texts at 0.5.
    for labels in [[true, false], [false, true]] {
        let report = category(&[0.5, 0.5], &labels.map(Some), 0.5);
        assert_eq!(report.average_precision, Some(0.5), "labels {labels:?}");
        assert_eq!(report.roc_auc, Some(0.5), "labels {labels:?}");
    }
}

#[test]
fn zero_ties_with_negative_zero() {
    let report = category(&[0.0, -0.0], &[Some(true), Some(false)], 0.5);
    assert_eq!(report.roc_auc, Some(0.5));
}

#[test]
fn a_score_equal_to_the_threshold_is_flagged() {
    let report = category(&[0.5, 0.4], &[Some(true), Some(false)], 0.5);
    assert_eq!([report.precision, report.recall, report.f1], [Some(1.0); 3]);
}

#[test]
fn a_category_that_is_off_flags_nothing() {
    let report = category(&[1.0, 0.4], &[Some(true), Some(false)], 1.0);
    assert_eq!([report.precision, report.recall, report.f1], [Some(0.0); 3]);
    let scores = array![[1.0, 0.1]];
    let any = measure(&scores, &array![[Some(true), Some(false)]], &[1.0, 0.5]).unwrap();
    assert_eq!(any.any_category.recall, Some(0.0));
}

#[test]
fn precision_is_zero_when_nothing_is_flagged() {
    let report = category(&[0.1, 0.2], &[Some(true), Some(false)], 0.9);
    assert_eq!([report.precision, report.recall, report.f1], [Some(0.0); 3]);
}

#[test]
fn of_equally_good_thresholds_the_highest_is_best() {
    // F1 is 2 TP / (flagged + positives): 2 / (1 + 2) at 0.9, and 4 / (4 + 2) at 0.1.
    let labels = [Some(true), Some(false), Some(false), Some(true)];
    let report = category(&[0.9, 0.5, 0.4, 0.1], &labels, 0.5);
    assert_eq!(report.best_f1, Some(2.0 / 3.0));
    assert_eq!(report.best_threshold, Some(f64::from(0.9_f32)));
}

#[test]
fn one_negative_in_a_hundred_may_stand_above() {
    struct Row {
        n_above: usize,
        recall: f64,
    }
    for Row { n_above, recall } in [
        Row { n_above: 0, recall: 1.0 },
        Row { n_above: 1, recall: 1.0 }, // exactly 1 %
        Row { n_above: 2, recall: 0.0 },
    ] {
        let mut scores = vec![0.1; 100];
        scores[..n_above].fill(0.9);
        scores.push(0.5);
        let mut labels = vec![Some(false); 100];
        labels.push(Some(true));
        let report = category(&scores, &labels, 0.5);
        assert_eq!(report.recall_at_1pct_fpr, Some(recall), "{n_above} negatives above");
    }
}

#[test]
fn zero_joins_the_first_calibration_bin_and_one_the_last() {
    // The bins are (0, 1/15] to (14/15, 1]. Two texts have an error of |0 + 0.0625 - 1| / 2 in one
    // bin, and of (|0 - 1| + 0.125) / 2 in two bins.
    let together = category(&[0.0, 0.0625], &[Some(true), Some(false)], 0.5);
    assert_eq!(together.expected_calibration_error, Some(0.46875));
    let apart = category(&[0.0, 0.125], &[Some(true), Some(false)], 0.5);
    assert_eq!(apart.expected_calibration_error, Some(0.5625));
    let last = category(&[1.0, 0.9375], &[Some(true), Some(false)], 0.5);
    assert_eq!(last.expected_calibration_error, Some(0.46875));
}

#[test]
fn an_unknown_label_is_left_out() {
    let with_unknown = category(&[0.9, 0.8, 0.2], &[Some(true), None, Some(false)], 0.5);
    let without = category(&[0.9, 0.2], &[Some(true), Some(false)], 0.5);
    assert_eq!(with_unknown, without);
}

#[test]
fn any_category_is_true_false_or_unknown() {
    struct Row {
        labels: [Option<bool>; 2],
        n_texts: usize,
        n_positives: usize,
    }
    for Row { labels, n_texts, n_positives } in [
        Row { labels: [Some(true), Some(false)], n_texts: 1, n_positives: 1 },
        Row { labels: [None, Some(true)], n_texts: 1, n_positives: 1 },
        Row { labels: [Some(false), Some(false)], n_texts: 1, n_positives: 0 },
        Row { labels: [Some(false), None], n_texts: 0, n_positives: 0 },
        Row { labels: [None, None], n_texts: 0, n_positives: 0 },
    ] {
        let any = measure(&array![[0.5, 0.5]], &array![labels], &[0.5, 0.5]).unwrap().any_category;
        assert_eq!((any.n_texts, any.n_positives), (n_texts, n_positives), "labels {labels:?}");
    }
}

#[test]
fn any_category_flags_by_the_threshold_of_each() {
    // The first text has the higher score, but only the second reaches a threshold.
    let scores = array![[0.8, 0.1], [0.1, 0.3]];
    let labels = array![[Some(false), Some(false)], [Some(false), Some(true)]];
    let any = measure(&scores, &labels, &[0.9, 0.2]).unwrap().any_category;
    assert_eq!([any.precision, any.recall], [Some(1.0); 2]);
    assert_eq!(any.roc_auc, Some(0.0));
    assert_eq!(any.threshold, None);
}

#[test]
fn an_undefined_figure_does_not_weigh_on_the_mean() {
    let scores = array![[0.9, 0.9], [0.1, 0.1]];
    let labels = array![[Some(true), Some(false)], [Some(false), Some(false)]];
    let evaluation = measure(&scores, &labels, &[0.5, 0.5]).unwrap();
    assert_eq!(evaluation.macro_average.f1.value, Some(1.0));
    assert_eq!(evaluation.macro_average.f1.n_categories, 1);
    assert_eq!(evaluation.macro_average.expected_calibration_error.n_categories, 2);
}

#[test]
fn shapes_that_disagree_are_refused() {
    let scores = Array2::zeros((3, 2));
    let unknown = |shape| Array2::from_elem(shape, None);
    assert!(measure(&scores, &unknown((3, 2)), &[0.5, 0.5]).is_some());
    assert!(measure(&scores, &unknown((2, 2)), &[0.5, 0.5]).is_none());
    assert!(measure(&scores, &unknown((3, 1)), &[0.5, 0.5]).is_none());
    assert!(measure(&scores, &unknown((3, 2)), &[0.5]).is_none());
    assert!(measure(&Array2::zeros((3, 0)), &unknown((3, 0)), &[]).is_none());
}

/// A case of `scripts/make_evaluation_golden.py`; scores and labels are `(text, category)`, row by
/// row.
#[derive(Deserialize)]
struct Case {
    name: String,
    thresholds: Vec<f32>,
    scores: Vec<f32>,
    labels: Vec<Option<bool>>,
    expected: Value,
}

impl Case {
    fn scores(&self) -> Array2<f32> {
        Array2::from_shape_vec(self.shape(), self.scores.clone()).unwrap()
    }

    fn labels(&self) -> Array2<Option<bool>> {
        Array2::from_shape_vec(self.shape(), self.labels.clone()).unwrap()
    }

    fn evaluation(&self) -> Evaluation {
        measure(&self.scores(), &self.labels(), &self.thresholds).unwrap()
    }

    fn shape(&self) -> (usize, usize) {
        let n_categories = self.thresholds.len();
        (self.scores.len() / n_categories, n_categories)
    }
}

fn golden() -> Vec<Case> {
    serde_json::from_str(include_str!("../golden/evaluation.json")).unwrap()
}

fn measure(
    scores: &Array2<f32>,
    labels: &Array2<Option<bool>>,
    thresholds: &[f32],
) -> Option<Evaluation> {
    let threshold = |&value: &f32| Threshold::try_from(f64::from(value)).unwrap();
    let thresholds: Vec<_> = thresholds.iter().map(threshold).collect();
    Some(evaluate(&Labelled::new(scores.view(), labels.view(), &thresholds)?))
}

/// Evaluates a single category.
fn category(scores: &[f32], labels: &[Option<bool>], threshold: f32) -> CategoryReport {
    let scores = Array1::from(scores.to_vec()).insert_axis(Axis(1));
    let labels = Array1::from(labels.to_vec()).insert_axis(Axis(1));
    measure(&scores, &labels, &[threshold]).unwrap().categories.remove(0)
}

/// Compares two JSON trees; `path` names the case and the position of a difference.
fn assert_close(path: &str, expected: &Value, actual: &Value) {
    match (expected, actual) {
        (Value::Object(expected_fields), Value::Object(actual_fields)) => {
            assert_eq!(expected_fields.len(), actual_fields.len(), "{path}: {expected} {actual}");
            for (field, expected) in expected_fields {
                assert_close(&format!("{path}, {field}"), expected, &actual[field]);
            }
        }
        (Value::Array(expected_items), Value::Array(actual_items)) => {
            assert_eq!(expected_items.len(), actual_items.len(), "{path}: {expected} {actual}");
            for (index, expected) in expected_items.iter().enumerate() {
                assert_close(&format!("{path} {index}"), expected, &actual_items[index]);
            }
        }
        (Value::Number(expected), Value::Number(actual)) => {
            let distance = (expected.as_f64().unwrap() - actual.as_f64().unwrap()).abs();
            assert!(distance <= TOLERANCE, "{path}: expected {expected}, got {actual}");
        }
        _ => assert_eq!(expected, actual, "{path}"),
    }
}

/// Both sides compute in `f64`; only the order of summation differs. A count that is off by one
/// would differ by a thousandth.
const TOLERANCE: f64 = 1e-6;

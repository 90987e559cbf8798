"""Makes tests/golden/evaluation.json: what scikit-learn says about small labelled sets of scores.

    python -m venv /tmp/venv-eval
    /tmp/venv-eval/bin/pip install -r scripts/requirements-evaluation.txt
    /tmp/venv-eval/bin/python scripts/make_evaluation_golden.py

Running it again gives the same file. Scores and labels are written row by row, (text, category).
"""

import json
from pathlib import Path

import numpy as np
from sklearn import metrics

GOLDEN = Path(__file__).parent.parent / "tests" / "golden" / "evaluation.json"
N_BINS = 15  # src/evaluate/calibration_error.rs
AVERAGED = [
    "average_precision",
    "roc_auc",
    "precision",
    "recall",
    "f1",
    "best_f1",
    "recall_at_1pct_fpr",
    "expected_calibration_error",
]


def main():
    cases = [
        continuous(),
        many_ties(),
        bin_edges(),
        nulls(),
        imbalanced(),
        one_sided(),
        no_texts(),
    ]
    lines = ",\n".join(json.dumps(case) for case in cases)
    GOLDEN.parent.mkdir(parents=True, exist_ok=True)
    GOLDEN.write_text(f"[\n{lines}\n]\n")


# The cases. Labels are 1.0, 0.0 or NaN for unknown.


def continuous():
    rng = np.random.default_rng(1)
    scores = rng.random((120, 3))
    labels = rng.random(scores.shape) < scores ** [1, 2, 4]
    return case("continuous scores", scores, labels, [0.5, 0.7, 0.25])


def many_ties():
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 5, (150, 3)) / 4
    labels = rng.random(scores.shape) < 0.2 + 0.5 * scores
    # The thresholds are themselves scores; a category with a threshold of 1 is off.
    return case("many tied scores", scores, labels, [0.5, 0.75, 1.0])


def bin_edges():
    rng = np.random.default_rng(3)
    edges = np.linspace(0, 1, N_BINS + 1).astype(np.float32)
    around = [np.nextafter(edges, np.float32(0)), edges, np.nextafter(edges, np.float32(1))]
    column = np.concatenate(around)
    scores = np.stack([rng.permutation(column), rng.permutation(column)], axis=1)
    labels = rng.random(scores.shape) < 0.5
    return case("scores on the edges of bins", scores, labels, [edges[5], edges[9]])


def nulls():
    rng = np.random.default_rng(4)
    scores = rng.random((160, 4))
    labels = (rng.random(scores.shape) < 0.3 * scores).astype(float)
    labels[rng.random(scores.shape) < 0.25] = np.nan
    labels[:, 3] = np.nan
    labels[:60, 3] = 0
    return case("labels with nulls", scores, labels, [0.5, 0.6, 0.7, 0.8])


def imbalanced():
    rng = np.random.default_rng(5)
    labels = np.zeros((500, 2))
    labels[:5, 0] = 1
    labels[3:10, 1] = 1
    scores = np.clip(rng.beta(1, 12, labels.shape) + 0.35 * labels * rng.random(labels.shape), 0, 1)
    return case("very imbalanced labels", scores, labels, [0.3, 0.4])


def one_sided():
    rng = np.random.default_rng(6)
    scores = rng.random((40, 4))
    labels = rng.random(scores.shape) < 0.5
    labels = labels.astype(float)
    labels[:, 0] = 1
    labels[:, 1] = 0
    labels[:, 2] = np.nan
    return case("all positive, all negative, all unknown", scores, labels, [0.5, 0.5, 0.5, 0.5])


def no_texts():
    return case("no texts", np.zeros((0, 2)), np.zeros((0, 2)), [0.5, 0.5])


def case(name, scores, labels, thresholds):
    """Rounds to the f32 that Rust will read, so that both sides see the same numbers."""
    rounded = np.asarray(scores, np.float32)
    scores = rounded.astype(np.float64)
    thresholds = np.asarray(thresholds, np.float32).astype(np.float64)
    labels = np.asarray(labels, np.float64)
    known = np.where(np.isnan(labels), None, labels == 1)
    return {
        "name": name,
        "thresholds": thresholds.tolist(),
        "scores": [float(str(score)) for score in rounded.ravel()],  # the shortest digits
        "labels": known.ravel().tolist(),
        "expected": evaluation(scores, labels, thresholds),
    }


# The reference.


def evaluation(scores, labels, thresholds):
    categories = [
        report(scores[:, col], labels[:, col], flags(scores[:, col], threshold), threshold)
        for col, threshold in enumerate(thresholds)
    ]
    any_true = (labels == 1).any(axis=1)
    all_false = (labels == 0).all(axis=1)
    any_label = np.where(any_true, 1.0, np.where(all_false, 0.0, np.nan))
    any_flagged = flags(scores, thresholds).any(axis=1)
    return {
        "categories": categories,
        "macro_average": {figure: mean(categories, figure) for figure in AVERAGED},
        "any_category": report(scores.max(axis=1), any_label, any_flagged, None),
    }


def flags(scores, thresholds):
    # A threshold of 1 switches a category off.
    return (scores >= thresholds) & (thresholds < 1)


def report(score, label, flagged, threshold):
    known = ~np.isnan(label)
    score, label, flagged = score[known], label[known].astype(int), flagged[known]
    has_positives, has_both = label.any(), 0 < label.sum() < len(label)
    precision, recall, f1 = decisions(label, flagged) if has_positives else (None, None, None)
    best_f1, best_threshold = best(label, score) if has_positives else (None, None)
    return {
        "n_texts": len(label),
        "n_positives": int(label.sum()),
        "average_precision": (
            float(metrics.average_precision_score(label, score)) if has_positives else None
        ),
        "roc_auc": float(metrics.roc_auc_score(label, score)) if has_both else None,
        "threshold": None if threshold is None else float(threshold),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "best_f1": best_f1,
        "best_threshold": best_threshold,
        "recall_at_1pct_fpr": recall_at(0.01, label, score) if has_both else None,
        "expected_calibration_error": calibration_error(label, score) if len(label) else None,
    }


def decisions(label, flagged):
    rates = metrics.precision_recall_fscore_support(
        label, flagged.astype(int), average="binary", zero_division=0
    )
    return tuple(float(rate) for rate in rates[:3])


def best(label, score):
    precision, recall, thresholds = metrics.precision_recall_curve(label, score)
    precision, recall = precision[:-1], recall[:-1]  # the last point has no threshold
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    equal_best = f1 >= f1.max() - 1e-12
    return float(f1.max()), float(thresholds[equal_best].max())


def recall_at(limit, label, score):
    false_positive_rate, recall, _ = metrics.roc_curve(label, score, drop_intermediate=False)
    return float(recall[false_positive_rate <= limit].max())


def calibration_error(label, score):
    edges = np.linspace(0, 1, N_BINS + 1)
    bins = np.maximum(np.searchsorted(edges, score, side="left") - 1, 0)  # (lower, upper]
    error = 0.0
    for members in (bins == bin for bin in range(N_BINS)):
        if members.any():
            error += members.mean() * abs(score[members].mean() - label[members].mean())
    return float(error)


def mean(categories, figure):
    defined = [report[figure] for report in categories if report[figure] is not None]
    return {"value": float(np.mean(defined)) if defined else None, "n_categories": len(defined)}


if __name__ == "__main__":
    main()

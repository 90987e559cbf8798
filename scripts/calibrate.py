"""Fits calibration.json: how a model's logits become probabilities, category by category.

    python3 scripts/calibrate.py --logits dev_logits.jsonl --labels dev.jsonl \\
        --config models/moderato-small/config.json --output models/moderato-small/calibration.json

Needs numpy. A line of logits is {"id", "logits": [...]} in the order of the config's id2label, a
line of labels {"id", "labels": {category: 1 | 0 | null}}. Unknown labels (null) and texts without
logits are left out. The probability is sigmoid(scale * logit + offset).

Also prints, for each category, the threshold on that probability with the best F1. These figures
are on the texts the calibration was fitted to.

The method is Platt's, fitted as in H.-T. Lin, C.-J. Lin, R. C. Weng, "A note on Platt's
probabilistic outputs for support vector machines", Machine Learning 68 (2007), 267-276. Their A
and B are our -scale and -offset.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# As in the note's pseudocode, but for the gradient: it stops at 1e-5, and a few digits more cost
# one step.
MAX_STEPS = 100
MIN_STEP = 1e-10
SUFFICIENT_DECREASE = 1e-4
RIDGE = 1e-12  # keeps the Hessian invertible
MAX_GRADIENT = 1e-9

THRESHOLDS = np.arange(1, 100) / 100


@dataclass(frozen=True)
class Platt:
    """The line that a category's logits lie on."""

    scale: float
    offset: float

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated scores."""
        return sigmoid(self.scale * logits + self.offset)


@dataclass(frozen=True)
class Decisions:
    """How well a threshold does."""

    threshold: float
    f1: float
    precision: float
    recall: float


def main() -> None:
    """Fits every category, writes the file and prints the table."""
    arguments = parse_arguments()
    categories = read_categories(arguments.config)
    logits, labels = read_pairs(arguments.logits, arguments.labels, categories)
    print(f"{'category':<26}{'known':>6}{'pos.':>6}{'scale':>9}{'offset':>9}", end="")
    print(f"{'thresh.':>9}{'F1':>8}{'prec.':>8}{'recall':>8}")
    fitted = {}
    for col, category in enumerate(categories):
        known = ~np.isnan(labels[:, col])
        label, logit = labels[known, col] == 1, logits[known, col]
        platt = fit(category, logit, label)
        best = best_threshold(platt.probabilities(logit), label)
        fitted[category] = {"scale": round(platt.scale, 6), "offset": round(platt.offset, 6)}
        print(f"{category:<26}{len(label):>6}{label.sum():>6}", end="")
        print(f"{platt.scale:>9.4f}{platt.offset:>9.4f}{best.threshold:>9.2f}", end="")
        print(f"{best.f1:>8.4f}{best.precision:>8.4f}{best.recall:>8.4f}")
    calibration = {"method": "platt", "version": arguments.version, "categories": fitted}
    arguments.output.write_text(json.dumps(calibration, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--logits", type=Path, required=True, metavar="FILE", help="JSON lines")
    parser.add_argument("--labels", type=Path, required=True, metavar="FILE", help="JSON lines")
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the model's config.json"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="where to write the calibration"
    )
    parser.add_argument(
        "--version",
        default="dev",
        metavar="TEXT",
        help="a short name of this calibration, such as dev-2026-11 (default: %(default)s)",
    )
    return parser.parse_args()


# The data.


def read_categories(config: Path) -> list[str]:
    """The categories in the order of the logits."""
    id2label = json.loads(config.read_text())["id2label"]
    return [id2label[str(col)] for col in range(len(id2label))]


def read_pairs(
    logits_file: Path, labels_file: Path, categories: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels (text, category) of the texts that have both; NaN is an unknown label."""
    logits = {row["id"]: row["logits"] for row in read_lines(logits_file)}
    labels = {row["id"]: row["labels"] for row in read_lines(labels_file)}
    if unlabelled := logits.keys() - labels.keys():
        sys.exit(f"{labels_file} lacks {len(unlabelled)} ids of {logits_file}")
    ids = list(logits)
    logit_rows = np.array([logits[name] for name in ids], dtype=np.float64)
    if logit_rows.shape != (len(ids), len(categories)) or not np.isfinite(logit_rows).all():
        sys.exit(f"{logits_file}: expected {len(categories)} finite logits a line")
    label_rows = np.array(
        [[labels[name][category] for category in categories] for name in ids], dtype=np.float64
    )
    print(f"{len(ids)} texts; {len(labels) - len(ids)} labelled texts have no logits\n")
    return logit_rows, label_rows


def read_lines(file: Path) -> list[dict]:
    """Reads JSON lines; each id comes once."""
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    if len({row["id"] for row in rows}) != len(rows):
        sys.exit(f"{file}: an id comes twice")
    return rows


# The fit.


def fit(category: str, logit: np.ndarray, label: np.ndarray) -> Platt:
    """Minimises the cross-entropy by Newton's method with backtracking."""
    n_positives, n_negatives = int(label.sum()), int((~label).sum())
    if not n_positives or not n_negatives:
        sys.exit(f"{category}: {n_positives} positives and {n_negatives} negatives, needs both")
    # Platt's targets: a little less sure than the labels, so that the fit exists.
    target = np.where(label, (n_positives + 1) / (n_positives + 2), 1 / (n_negatives + 2))
    inputs = np.stack([logit, np.ones_like(logit)], axis=1)  # (text, scale and offset)
    weights = np.array([0.0, np.log((n_positives + 1) / (n_negatives + 1))])
    for _ in range(MAX_STEPS):
        probability = sigmoid(inputs @ weights)
        gradient = inputs.T @ (probability - target)
        if np.abs(gradient).max() < MAX_GRADIENT:
            break
        curvature = probability * (1 - probability)
        hessian = inputs.T @ (curvature[:, None] * inputs) + RIDGE * np.eye(2)
        weights = stepped(inputs, target, weights, gradient, -np.linalg.solve(hessian, gradient))
    else:
        sys.exit(f"{category}: no minimum after {MAX_STEPS} steps")
    scale, offset = weights
    if scale <= 0:
        sys.exit(f"{category}: scale {scale:.4f}, so higher logits mean lower probability")
    return Platt(float(scale), float(offset))


def stepped(
    inputs: np.ndarray,
    target: np.ndarray,
    weights: np.ndarray,
    gradient: np.ndarray,
    direction: np.ndarray,
) -> np.ndarray:
    """Goes down the direction, half as far each time until that lowers the loss enough."""
    loss = cross_entropy(inputs @ weights, target)
    step = 1.0
    while step >= MIN_STEP:
        moved = weights + step * direction
        enough = loss + SUFFICIENT_DECREASE * step * (gradient @ direction)
        # Near the minimum the decrease is below the precision of the sum.
        if cross_entropy(inputs @ moved, target) <= enough + 1e-12 * loss:
            return moved
        step /= 2
    sys.exit("the line search failed: the logits are on no usable scale")


def cross_entropy(log_odds: np.ndarray, target: np.ndarray) -> float:
    """The loss, in the form that does not overflow."""
    return float((np.logaddexp(0, log_odds) - target * log_odds).sum())


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """The logistic function, in the form that does not overflow."""
    return np.exp(-np.logaddexp(0, -log_odds))


# The thresholds.


def best_threshold(probability: np.ndarray, label: np.ndarray) -> Decisions:
    """The best F1 over the hundredths; among equals the highest threshold."""
    return max(
        (decisions(probability >= threshold, label, threshold) for threshold in THRESHOLDS),
        key=lambda found: (found.f1, found.threshold),
    )


def decisions(flagged: np.ndarray, label: np.ndarray, threshold: float) -> Decisions:
    """What the flags are worth; a rate over nothing is zero."""
    n_hits = int((flagged & label).sum())
    n_flagged, n_positives = int(flagged.sum()), int(label.sum())
    return Decisions(
        threshold=float(threshold),
        f1=2 * n_hits / (n_flagged + n_positives),
        precision=n_hits / n_flagged if n_flagged else 0.0,
        recall=n_hits / n_positives,
    )


if __name__ == "__main__":
    main()

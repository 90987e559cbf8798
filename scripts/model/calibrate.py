"""Fits calibration.json and the thresholds of policy.toml: how logits become probabilities, and
from which probability on a text violates a category.

    python3 scripts/model/calibrate.py --model WEIGHTS \\
        --labels PREPARED/development.jsonl --harmless PREPARED/harmless.jsonl --policy policy.toml

The model is asked through moderato, so a long text counts as it is served: in windows. The texts
must not have been trained with. Unknown labels (null) are left out. Both files are written into the
model's folder; without --policy a plain policy of the model's labels is made.

The probability is sigmoid(scale * logit + offset). The method is Platt's, fitted as in H.-T. Lin,
C.-J. Lin, R. C. Weng, "A note on Platt's probabilistic outputs for support vector machines",
Machine Learning 68 (2007), 267-276. Their A and B are our -scale and -offset. The calibration error
is measured on texts that the fit has not seen, fold by fold.

The threshold of a category is the hundredth with the best F1 among those that flag no more than
--ceiling of the harmless texts; among equals the highest.
"""

import argparse
import json
import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import served
from metrics import calibration_error
from rows import UNKNOWN, BadRow, Row, read

# As in the note's pseudocode, but for the gradient: it stops at 1e-5, and a few digits more cost
# one step.
MAX_STEPS = 100
MIN_STEP = 1e-10
SUFFICIENT_DECREASE = 1e-4
RIDGE = 1e-12  # keeps the Hessian invertible
MAX_GRADIENT = 1e-9

THRESHOLDS = np.arange(1, 100) / 100
N_FOLDS = 10


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
    false_alarms: float  # share of the harmless texts


def main() -> None:
    """Fits every category, writes the files and prints the table."""
    arguments = parse_arguments()
    categories = read_categories(arguments.model / "config.json")
    try:
        rows, harmless = list(read(arguments.labels)), list(read(arguments.harmless))
    except (BadRow, OSError) as fault:
        sys.exit(f"calibrate.py: {fault}")
    policy = arguments.policy.read_text() if arguments.policy else plain_policy(categories)
    logits = log_odds(arguments, rows, categories)
    calm = log_odds(arguments, harmless, categories)
    labels = np.array([row.targets(categories) for row in rows])
    print(f"{len(rows)} labelled texts, {len(harmless)} harmless ones")
    print(f"{'category':<26}{'known':>6}{'pos.':>6}{'scale':>9}{'offset':>9}{'error':>8}", end="")
    print(f"{'thresh.':>9}{'F1':>8}{'prec.':>8}{'recall':>8}{'alarms':>8}")
    fitted, thresholds = {}, {}
    flagged = np.zeros(len(harmless), dtype=bool)
    for col, category in enumerate(categories):
        known = labels[:, col] != UNKNOWN
        label, logit = labels[known, col] == 1, logits[known, col]
        platt = fit(category, logit, label)
        error = calibration_error(label, cross_fitted(category, logit, label))
        calm_scores = platt.probabilities(calm[:, col])
        best = best_threshold(platt.probabilities(logit), label, calm_scores, arguments.ceiling)
        fitted[category] = {"scale": round(platt.scale, 6), "offset": round(platt.offset, 6)}
        thresholds[category] = best.threshold
        flagged |= calm_scores >= best.threshold
        print(f"{category:<26}{len(label):>6}{label.sum():>6}", end="")
        print(f"{platt.scale:>9.4f}{platt.offset:>9.4f}{error:>8.4f}{best.threshold:>9.2f}", end="")
        print(f"{best.f1:>8.4f}{best.precision:>8.4f}{best.recall:>8.4f}{best.false_alarms:>8.4f}")
    print(f"harmless texts with any flag: {flagged.mean():.4f}")
    calibration = {"method": "platt", "version": arguments.version, "labels": fitted}
    (arguments.model / "calibration.json").write_text(json.dumps(calibration, indent=2) + "\n")
    (arguments.model / "policy.toml").write_text(with_thresholds(policy, thresholds))


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FOLDER", help="by train.py")
    add("--binary", default="moderato", metavar="FILE", help="default: the one on the PATH")
    add("--labels", type=Path, required=True, metavar="FILE", help="JSON lines")
    add("--harmless", type=Path, required=True, metavar="FILE", help="JSON lines")
    add("--policy", type=Path, metavar="FILE", help="whose thresholds are replaced")
    add("--ceiling", type=float, default=0.01, metavar="SHARE", help="default: %(default)s")
    add("--version", default="dev", metavar="TEXT", help="of this calibration (default: %(default)s)")
    return parser.parse_args()


# The data.


def read_categories(config: Path) -> list[str]:
    """The categories in the order of the logits."""
    id2label = json.loads(config.read_text())["id2label"]
    return [id2label[str(col)] for col in range(len(id2label))]


def log_odds(arguments: argparse.Namespace, rows: list[Row], categories: list[str]) -> np.ndarray:
    """Logits (text, category) as moderato pools them."""
    texts = [row.text for row in rows]
    return served.log_odds(arguments.binary, arguments.model, texts, categories)


# The policy.


def with_thresholds(policy: str, thresholds: dict[str, float]) -> str:
    """The same file with other thresholds, each below the label that it belongs to."""
    label, lines = None, []
    for line in policy.splitlines():
        if found := re.fullmatch(r'label = "(.*)"', line):
            label = found[1]
        if label in thresholds and line.startswith("threshold = "):
            line = f"threshold = {thresholds[label]:.2f}"
        lines.append(line)
    made = "\n".join(lines) + "\n"
    set_to = {it["label"]: it["threshold"] for it in tomllib.loads(made)["categories"]}
    if missing := [it for it in thresholds if set_to.get(it) != thresholds[it]]:
        sys.exit(f"the policy has no threshold for {', '.join(missing)}")
    return made


def plain_policy(categories: list[str]) -> str:
    """One that flags."""
    parts = ['id = "own"\nname = "Own policy"\nversion = "1"\n']
    parts.extend(
        f'[[categories]]\nid = "{it}"\nlabel = "{it}"\ntitle = "{it}"\nsummary = ""\n'
        f'threshold = 0.5\naction = "flag"\nclauses = []\n'
        for it in categories
    )
    return "\n".join(parts)


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


def cross_fitted(category: str, logit: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Probabilities, each by a fit to the other folds; positives are spread over the folds."""
    folds = np.empty(len(label), dtype=int)
    chance = np.random.default_rng(0)
    for kind in (True, False):
        places = chance.permutation(np.flatnonzero(label == kind))
        folds[places] = np.arange(len(places)) % N_FOLDS
    found = np.empty(len(label))
    for fold in range(N_FOLDS):
        held_out = folds == fold
        found[held_out] = fit(category, logit[~held_out], label[~held_out]).probabilities(logit[held_out])
    return found


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


def best_threshold(
    probability: np.ndarray, label: np.ndarray, harmless: np.ndarray, ceiling: float
) -> Decisions:
    """The best F1 below the ceiling; the last hundredth if nothing is."""
    found = [decisions(probability, label, harmless, threshold) for threshold in THRESHOLDS]
    allowed = [it for it in found if it.false_alarms <= ceiling] or found[-1:]
    return max(allowed, key=lambda it: (it.f1, it.threshold))


def decisions(
    probability: np.ndarray, label: np.ndarray, harmless: np.ndarray, threshold: float
) -> Decisions:
    """What the flags are worth; a rate over nothing is zero."""
    flagged = probability >= threshold
    n_hits = int((flagged & label).sum())
    n_flagged, n_positives = int(flagged.sum()), int(label.sum())
    return Decisions(
        threshold=round(float(threshold), 2),
        f1=2 * n_hits / (n_flagged + n_positives),
        precision=n_hits / n_flagged if n_flagged else 0.0,
        recall=n_hits / n_positives,
        false_alarms=float((harmless >= threshold).mean()) if len(harmless) else 0.0,
    )


if __name__ == "__main__":
    main()

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
is measured on texts that the fit has not seen, fold by fold. A label with fewer than five positives
or negatives keeps its logits.

The threshold of a category, and of a name of another service that has one, is the hundredth with
the best F1 among those that flag no more than --ceiling of the harmless texts of any language;
among equals the highest.
"""

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Callable
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
LEAST_OF_A_KIND = 5  # positives and negatives, for a label to be calibrated


@dataclass(frozen=True)
class Platt:
    """The line that a label's logits lie on."""

    scale: float
    offset: float

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """The calibrated scores."""
        return sigmoid(self.scale * logits + self.offset)


@dataclass(frozen=True)
class Decisions:
    """How well a threshold does."""

    threshold: float
    n_known: int
    n_positives: int
    f1: float
    precision: float
    recall: float
    false_alarms: float  # share of the harmless texts, of the language with most of them


@dataclass(frozen=True)
class Known:
    """Texts whose labels are known, and harmless ones, as the model sees them."""

    labels: list[str]
    targets: np.ndarray  # (text, label)
    probabilities: np.ndarray  # (text, label)
    harmless: np.ndarray  # probabilities (harmless text, label)
    harmless_targets: np.ndarray  # (harmless text, label)
    languages: np.ndarray  # (harmless text)


def main() -> None:
    """Fits every label, chooses the thresholds, writes the files and prints the tables."""
    arguments = parse_arguments()
    labels = read_labels(arguments.model / "config.json")
    try:
        rows, harmless = list(read(arguments.labels)), list(read(arguments.harmless))
    except (BadRow, OSError) as fault:
        sys.exit(f"calibrate.py: {fault}")
    policy = arguments.policy.read_text() if arguments.policy else plain_policy(labels)
    print(f"{len(rows)} labelled texts, {len(harmless)} harmless ones")
    targets = np.array([row.targets(labels) for row in rows])
    logits, calm = log_odds(arguments, rows, labels), log_odds(arguments, harmless, labels)
    fitted = fit_all(labels, logits, targets)
    lines = {
        label: {"scale": round(it.scale, 6), "offset": round(it.offset, 6)}
        for label, it in fitted.items()
    }
    calibration = {"method": "platt", "version": arguments.version, "labels": lines}
    (arguments.model / "calibration.json").write_text(json.dumps(calibration, indent=2) + "\n")
    known = Known(
        labels, targets, probabilities_of(fitted, logits), probabilities_of(fitted, calm),
        np.array([row.targets(labels) for row in harmless]).reshape(-1, len(labels)),
        np.array([row.language for row in harmless]),
    )
    made = with_thresholds(policy, known, arguments.ceiling)
    (arguments.model / "policy.toml").write_text(made)


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


def read_labels(config: Path) -> list[str]:
    """The labels in the order of the logits."""
    id2label = json.loads(config.read_text())["id2label"]
    return [id2label[str(col)] for col in range(len(id2label))]


def log_odds(arguments: argparse.Namespace, rows: list[Row], labels: list[str]) -> np.ndarray:
    """Logits (text, label) as moderato pools them."""
    texts = [row.text for row in rows]
    return served.log_odds(arguments.binary, arguments.model, texts, labels)


# The policy.


def with_thresholds(policy: str, known: Known, ceiling: float) -> str:
    """The same file with other thresholds: of each category, and of each name that has one."""
    head = ["category or name", "known", "pos.", "thresh.", "F1", "prec.", "recall", "alarms"]
    print("{:<40}{:>6}{:>6}{:>9}{:>8}{:>8}{:>8}{:>8}".format(*head))
    lines, judged, flagged = [], None, np.zeros(len(known.harmless), dtype=bool)
    of_categories = map(labels_of, tomllib.loads(policy)["categories"])
    for line in policy.splitlines():
        if line == "[[categories]]":
            judged = next(of_categories)
        if line.startswith("threshold = ") and judged:
            best = best_threshold(known, judged, np.max, ceiling)
            line = f"threshold = {best.threshold:.2f}"
            flagged |= score_of(known.harmless, known, judged, np.max) >= best.threshold
            print_line(", ".join(judged), best)
            judged = None
        elif re.fullmatch(r"\s*\{ name = .*threshold = .* \},?", line):
            name = tomllib.loads(f"it = {line.strip().rstrip(',')}")["it"]
            sources = name.get("from") or name["all_of"]
            best = best_threshold(known, sources, np.max if "from" in name else np.min, ceiling)
            line = re.sub(r"threshold = [0-9.]+", f"threshold = {best.threshold:.2f}", line)
            print_line(name["name"], best)
        lines.append(line)
    print(f"harmless texts with the flag of a category: {flagged.mean():.4f}; by language:")
    shares = (
        f"{it} {flagged[known.languages == it].mean():.4f} of {(known.languages == it).sum()}"
        for it in sorted(set(known.languages))
    )
    print(", ".join(shares))
    return "\n".join(lines) + "\n"


def labels_of(entry: dict) -> list[str]:
    """The labels of a category."""
    return entry.get("labels") or [entry["label"]]


def print_line(name: str, best: "Decisions") -> None:
    """A line of the table."""
    print(f"{name:<40}{best.n_known:>6}{best.n_positives:>6}{best.threshold:>9.2f}", end="")
    print(f"{best.f1:>8.4f}{best.precision:>8.4f}{best.recall:>8.4f}{best.false_alarms:>8.4f}")


def plain_policy(labels: list[str]) -> str:
    """One that flags."""
    parts = ['id = "own"\nname = "Own policy"\nversion = "1"\n']
    parts.extend(
        f'[[categories]]\nid = "{it}"\nlabel = "{it}"\ntitle = "{it}"\nsummary = ""\n'
        f'threshold = 0.5\naction = "flag"\nclauses = []\n'
        for it in labels
    )
    return "\n".join(parts)


# The fit.


def fit_all(labels: list[str], logits: np.ndarray, targets: np.ndarray) -> dict[str, Platt]:
    """By label; prints how well it does."""
    print(f"{'label':<40}{'known':>6}{'pos.':>6}{'scale':>9}{'offset':>9}{'error':>8}")
    found = {}
    for col, name in enumerate(labels):
        is_known = targets[:, col] != UNKNOWN
        label, logit = targets[is_known, col] == 1, logits[is_known, col]
        if min(label.sum(), (~label).sum()) < LEAST_OF_A_KIND:
            found[name] = Platt(1.0, 0.0)
            print(f"{name:<40}{len(label):>6}{label.sum():>6}  kept as it is")
            continue
        platt = found[name] = fit(name, logit, label)
        error = calibration_error(label, cross_fitted(name, logit, label))
        print(f"{name:<40}{len(label):>6}{label.sum():>6}", end="")
        print(f"{platt.scale:>9.4f}{platt.offset:>9.4f}{error:>8.4f}")
    return found


def probabilities_of(fitted: dict[str, Platt], logits: np.ndarray) -> np.ndarray:
    """Calibrated scores (text, label)."""
    columns = zip(fitted.values(), logits.T, strict=True)
    return np.stack([platt.probabilities(logit) for platt, logit in columns], axis=1)


def fit(name: str, logit: np.ndarray, label: np.ndarray) -> Platt:
    """Minimises the cross-entropy by Newton's method with backtracking."""
    n_positives, n_negatives = int(label.sum()), int((~label).sum())
    if not n_positives or not n_negatives:
        sys.exit(f"{name}: {n_positives} positives and {n_negatives} negatives, needs both")
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
        sys.exit(f"{name}: no minimum after {MAX_STEPS} steps")
    scale, offset = weights
    if scale <= 0:
        sys.exit(f"{name}: scale {scale:.4f}, so higher logits mean lower probability")
    return Platt(float(scale), float(offset))


def cross_fitted(name: str, logit: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Probabilities, each by a fit to the other folds; positives are spread over the folds."""
    folds = np.empty(len(label), dtype=int)
    chance = np.random.default_rng(0)
    for kind in (True, False):
        places = chance.permutation(np.flatnonzero(label == kind))
        folds[places] = np.arange(len(places)) % N_FOLDS
    found = np.empty(len(label))
    for fold in range(N_FOLDS):
        held_out = folds == fold
        found[held_out] = fit(name, logit[~held_out], label[~held_out]).probabilities(logit[held_out])
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
    known: Known, names: list[str], joined: Callable[..., np.ndarray], ceiling: float
) -> Decisions:
    """The best F1 below the ceiling, of the highest or the lowest score of some labels; the last
    hundredth if nothing is below it."""
    target = joined(np.where(known.targets == UNKNOWN, 0.5, known.targets)[:, places(known, names)], axis=1)
    is_known = target != 0.5
    label = target[is_known] == 1
    score = score_of(known.probabilities, known, names, joined)[is_known]
    # A text that violates nothing may still be positive for a label that is no category.
    is_calm = (known.harmless_targets[:, places(known, names)] != 1).all(axis=1)
    calm, languages = score_of(known.harmless, known, names, joined)[is_calm], known.languages[is_calm]
    by_language = [calm[languages == it] for it in sorted(set(languages))]
    found = [decisions(score, label, by_language, threshold) for threshold in THRESHOLDS]
    allowed = [it for it in found if it.false_alarms <= ceiling] or found[-1:]
    return max(allowed, key=lambda it: (it.f1, it.threshold))


def score_of(
    scores: np.ndarray, known: Known, names: list[str], joined: Callable[..., np.ndarray]
) -> np.ndarray:
    """One score (text) of the scores of some labels."""
    return joined(scores[:, places(known, names)], axis=1)


def places(known: Known, names: list[str]) -> list[int]:
    """Of labels, among those of the model."""
    if strange := set(names) - set(known.labels):
        sys.exit(f"the model has no label {', '.join(sorted(strange))}")
    return [known.labels.index(name) for name in names]


def decisions(
    probability: np.ndarray, label: np.ndarray, harmless: list[np.ndarray], threshold: float
) -> Decisions:
    """What the flags are worth; a rate over nothing is zero."""
    flagged = probability >= threshold
    n_hits = int((flagged & label).sum())
    n_flagged, n_positives = int(flagged.sum()), int(label.sum())
    return Decisions(
        threshold=round(float(threshold), 2),
        n_known=len(label),
        n_positives=n_positives,
        f1=2 * n_hits / max(n_flagged + n_positives, 1),
        precision=n_hits / n_flagged if n_flagged else 0.0,
        recall=n_hits / max(n_positives, 1),
        false_alarms=max((float((it >= threshold).mean()) for it in harmless), default=0.0),
    )


if __name__ == "__main__":
    main()

"""How good scores are. Ties are treated as scikit-learn treats them."""

import numpy as np

from rows import UNKNOWN
from settings import Settings


def average_precision(label: np.ndarray, score: np.ndarray) -> float:
    """Area under the precision-recall curve, as a sum of steps; NaN without positives."""
    n_positives = int(label.sum())
    if n_positives == 0:
        return float("nan")
    hits, flagged = curve(label, score)
    recall = hits / n_positives
    return float((np.diff(recall, prepend=0.0) * (hits / flagged)).sum())


def roc_auc(label: np.ndarray, score: np.ndarray) -> float:
    """Share of pairs in order, half of those with equal scores; NaN without both kinds."""
    n_positives = int(label.sum())
    n_negatives = len(label) - n_positives
    if n_positives == 0 or n_negatives == 0:
        return float("nan")
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    of_positives = ranks[place][label.astype(bool)].sum()
    return float((of_positives - n_positives * (n_positives + 1) / 2) / n_positives / n_negatives)


def curve(label: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hits and flags at each score that occurs, from the highest down."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.diff(score[order], append=np.nan))
    hits = np.cumsum(label[order])[ends].astype(np.float64)
    return hits, ends + 1.0


def calibration_error(label: np.ndarray, score: np.ndarray, n_bins: int = 15) -> float:
    """Expected calibration error over bins of (nearly) equal mass."""
    order = np.argsort(score, kind="stable")
    parts = [part for part in np.array_split(order, n_bins) if len(part)]
    gaps = (len(part) * abs(label[part].mean() - score[part].mean()) for part in parts)
    return float(sum(gaps) / len(label))


def summary(targets: np.ndarray, scores: np.ndarray, settings: Settings) -> dict[str, float]:
    """Average precision of each label (of targets and scores (text, label)), and of the categories
    among them their mean ("macro") and "any_roc": how well the highest score tells texts that
    violate anything from those that are known to violate nothing."""
    found = {}
    for col, label in enumerate(settings.labels):
        known = targets[:, col] != UNKNOWN
        found[label] = average_precision(targets[known, col], scores[known, col])
    categories = settings.of_categories()
    found["macro"] = nan_mean([found[settings.labels[col]] for col in categories])
    targets, scores = targets[:, categories], scores[:, categories]
    is_any = (targets == 1).any(axis=1)
    decided = is_any | (targets != UNKNOWN).all(axis=1)
    found["any_roc"] = roc_auc(is_any[decided], scores[decided].max(axis=1))
    return found


def nan_mean(values: list[float]) -> float:
    """Of those that are numbers; NaN if none is."""
    numbers = [it for it in values if not np.isnan(it)]
    return float(np.mean(numbers)) if numbers else float("nan")

"""Charts of how good scores are, a panel for each category."""

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from metrics import curve

N_BINS = 15
N_COLUMNS = 5

# By category: whether a text is positive, and its score.
Known = dict[str, tuple[np.ndarray, np.ndarray]]


def draw_reliability(known: Known, file: Path) -> None:
    """Mean score against the share of positives, in bins of equal mass."""

    def draw(axes: plt.Axes, label: np.ndarray, score: np.ndarray) -> None:
        order = np.argsort(score, kind="stable")
        parts = np.array_split(order, N_BINS)
        axes.plot([0, 1], [0, 1], color="0.8")
        axes.plot([score[it].mean() for it in parts], [label[it].mean() for it in parts], "o-")
        axes.set(xlabel="mean score", ylabel="share of positives")

    draw_all(known, file, draw)


def draw_precision(known: Known, file: Path) -> None:
    """Precision against recall."""

    def draw(axes: plt.Axes, label: np.ndarray, score: np.ndarray) -> None:
        hits, flagged = curve(label, score)
        axes.step(hits / max(label.sum(), 1), hits / flagged, where="post")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))

    draw_all(known, file, draw)


def draw_all(
    known: Known, file: Path, draw: Callable[[plt.Axes, np.ndarray, np.ndarray], None]
) -> None:
    """A panel for each category."""
    n_rows = -(-len(known) // N_COLUMNS)
    size = (3 * N_COLUMNS, 3 * n_rows)
    figure, panels = plt.subplots(n_rows, N_COLUMNS, figsize=size, layout="constrained")
    for (category, (label, score)), axes in zip(known.items(), panels.flat, strict=False):
        draw(axes, label, score)
        axes.set_title(category, fontsize=9)
    figure.savefig(file, dpi=80, metadata={"Software": None})
    plt.close(figure)

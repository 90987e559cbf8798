"""Tables in Markdown, and what stands in their cells."""

from collections.abc import Callable

import numpy as np

N_RESAMPLES = 1000


def table(head: list[str], lines: list[list[str]]) -> str:
    """In Markdown."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def share(value: float, digits: int = 3) -> str:
    """A number, or a dash where there is nothing to measure."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def share_of(flags: np.ndarray) -> float:
    """The share of what is true; NaN of nothing."""
    return float(flags.mean()) if len(flags) else float("nan")


def interval(
    figure: Callable[[np.ndarray], float], n_texts: int
) -> tuple[float, float]:
    """The 95 % interval of a figure of some texts, given by their places, by resampling them."""
    chance = np.random.default_rng(0)
    found = [figure(places) for places in chance.integers(n_texts, size=(N_RESAMPLES, n_texts))]
    found = [it for it in found if not np.isnan(it)]
    if not found:
        return float("nan"), float("nan")
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)


def with_interval(figure: Callable[[np.ndarray], float], n_texts: int) -> str:
    """A figure of all texts, with its interval."""
    low, high = interval(figure, n_texts)
    return f"{share(figure(np.arange(n_texts)))} ({share(low, 2)} to {share(high, 2)})"

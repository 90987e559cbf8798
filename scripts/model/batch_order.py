"""Which rows come in which step: rows of nearly one length together, so that little is padding."""

import numpy as np

from settings import Train

POOL = 64  # batches among which rows are sorted by length
PLAN: dict = {}  # of the present epoch


def rows_an_epoch(weights: np.ndarray) -> int:
    """How many rows come in an epoch; weights are (row)."""
    return max(1, round(float(weights.sum(dtype=np.float64))))


def rows_of(
    step_number: int, lengths: np.ndarray, weights: np.ndarray, train: Train
) -> np.ndarray:
    """Rows of a step, of nearly the same length. A row comes as often in an epoch as it weighs: one
    that weighs 0.5, in every other."""
    n_batches = -(-rows_an_epoch(weights) // train.rows_per_step)
    epoch, place = divmod(step_number, n_batches)
    return plan_of(epoch, lengths, weights, train)[place]


def plan_of(
    epoch: int, lengths: np.ndarray, weights: np.ndarray, train: Train
) -> list[np.ndarray]:
    """All of an epoch, which its number and the seed decide."""
    key = (epoch, train.seed)
    if PLAN.get("key") != key:
        chance = np.random.default_rng([train.seed, epoch])
        order = drawn(weights, chance)
        pool = POOL * train.rows_per_step
        pools = (order[first : first + pool] for first in range(0, len(order), pool))
        rows = np.concatenate([it[np.argsort(lengths[it], kind="stable")] for it in pools])
        size = train.rows_per_step
        plan = [rows[first : first + size] for first in range(0, len(rows), size)]
        PLAN.update(key=key, plan=[plan[place] for place in chance.permutation(len(plan))])
    return PLAN["plan"]


def drawn(weights: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Rows in random order, each with the chance of its weight (systematic sampling)."""
    order = chance.permutation(len(weights))
    ends = np.cumsum(weights[order], dtype=np.float64)
    n_rows = rows_an_epoch(weights)
    points = (np.arange(n_rows) + chance.random()) * (ends[-1] / n_rows)
    return order[np.searchsorted(ends, points, side="right").clip(max=len(order) - 1)]

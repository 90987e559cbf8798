"""Which rows come in which step: rows of nearly one length together, so that little is padding."""

import numpy as np

from settings import Train

POOL = 64  # batches among which rows are sorted by length
PLAN: dict = {}  # of the present epoch


def rows_of(step_number: int, lengths: np.ndarray, train: Train) -> np.ndarray:
    """Rows of a step: each row once an epoch, among rows of nearly its length."""
    n_batches = -(-len(lengths) // train.rows_per_step)
    epoch, place = divmod(step_number, n_batches)
    return plan_of(epoch, lengths, train)[place]


def plan_of(epoch: int, lengths: np.ndarray, train: Train) -> list[np.ndarray]:
    """All of an epoch, which its number and the seed decide."""
    key = (epoch, train.seed)
    if PLAN.get("key") != key:
        chance = np.random.default_rng([train.seed, epoch])
        order = chance.permutation(len(lengths))
        pool = POOL * train.rows_per_step
        pools = (order[first : first + pool] for first in range(0, len(order), pool))
        rows = np.concatenate([it[np.argsort(lengths[it], kind="stable")] for it in pools])
        size = train.rows_per_step
        plan = [rows[first : first + size] for first in range(0, len(rows), size)]
        PLAN.update(key=key, plan=[plan[place] for place in chance.permutation(len(plan))])
    return PLAN["plan"]

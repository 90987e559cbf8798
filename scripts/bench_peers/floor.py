"""How fast the forward pass could be if it did nothing but multiply, at the machine's best rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Sizes:
    """Of the model, from its config.json."""

    hidden: int
    inner: int
    n_layers: int
    n_labels: int

    @classmethod
    def of(cls, config: dict) -> Sizes:
        return cls(
            config["hidden_size"],
            config["intermediate_size"],
            config["num_hidden_layers"],
            len(config["id2label"]),
        )

    def products(self) -> dict[str, list[int]]:
        """Depth and columns of the products of a layer: weights that rows are multiplied by."""
        return {
            "QKV": [self.hidden, 3 * self.hidden],
            "output": [self.hidden, self.hidden],
            "up": [self.hidden, self.inner],
            "down": [self.inner, self.hidden],
        }


@dataclass
class Step:
    """Operations that have to be done, and the product whose rate they are held against."""

    name: str
    arithmetic: str
    flop: float  # a token
    rate: str


def steps(sizes: Sizes, window: int) -> list[Step]:
    """What a forward pass of full windows costs a token.

    The head reads the first token of a window, so the last layer needs keys and values of every
    token, and everything else for one row a window.
    """
    hidden, inner, full = sizes.hidden, sizes.inner, sizes.n_layers - 1
    found = [
        Step(
            f"{name}, layers 1 to {full}",
            f"{full} x 2 x {depth} x {columns}",
            full * 2.0 * depth * columns,
            name,
        )
        for name, (depth, columns) in sizes.products().items()
    ]
    found.append(
        Step(
            f"attention, layers 1 to {full}",
            f"{full} x 4 x {window} x {hidden}",
            full * 4.0 * window * hidden,
            "best",
        )
    )
    found.append(
        Step("K and V, last layer", f"2 x {hidden} x {2 * hidden}", 4.0 * hidden * hidden, "QKV")
    )
    row = 2 * (2 * hidden * hidden + 2 * hidden * inner)  # query, output, up, down
    row += 4 * window * hidden  # attention of one query
    row += 2 * (hidden * hidden + hidden * sizes.n_labels)  # the head
    found.append(Step("the rest, one row a window", f"{row} / {window}", row / window, "best"))
    return found


def tokens_per_second(found: list[Step], rates: dict[str, float]) -> float:
    """The bound; rates in FLOP a second by product."""
    best = max(rates.values())
    rates = {**rates, "best": best}
    return 1 / sum(step.flop / rates[step.rate] for step in found)


def tokens_per_second_at_best(found: list[Step], rates: dict[str, float]) -> float:
    """A stricter bound, which no shape but one reaches: everything at the best rate of all."""
    return max(rates.values()) / sum(step.flop for step in found)

"""Figures, bars and a table."""

from __future__ import annotations

import json
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from typing import Any


@dataclass
class Figure:
    """A number, and the bar it is held against, if there is one."""

    name: str
    value: Any
    bar: str = ""
    met: bool | None = None


@dataclass
class Report:
    """What a run found out."""

    mode: str
    setting: dict[str, Any]
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # of what went wrong, never a text

    def tell(self, name: str, value: Any) -> None:
        self.figures.append(Figure(name, rounded(value)))

    def at_most(self, name: str, value: float, most: float) -> None:
        met = value <= most  # not a number is not met
        self.figures.append(Figure(name, rounded(value), f"<= {rounded(most)}", met))

    def at_least(self, name: str, value: float, least: float) -> None:
        met = value >= least
        self.figures.append(Figure(name, rounded(value), f">= {rounded(least)}", met))

    def is_met(self) -> bool:
        return all(figure.met is not False for figure in self.figures)

    def markdown(self) -> str:
        rows = [["figure", "value", "bar", "met"], ["---", "---:", "---:", "---"]]
        words = {None: "", True: "yes", False: "**NO**"}
        rows += [
            [figure.name, str(figure.value), figure.bar, words[figure.met]]
            for figure in self.figures
        ]
        setting = ", ".join(f"{name} {value}" for name, value in self.setting.items())
        lines = [f"## {self.mode}", "", setting, ""]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines += ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join(lines) + "\n"

    def json(self) -> str:
        return json.dumps({**asdict(self), "met": self.is_met()}, indent=1) + "\n"


def rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]

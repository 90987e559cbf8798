"""A model folder as it is served, and labelled texts as it sees them."""

import argparse
import json
import sys
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import served
import settings as settings_file
from rows import UNKNOWN, Row
from settings import Settings


@dataclass(frozen=True)
class Measured:
    """A model, and the texts that it is measured with."""

    arguments: argparse.Namespace
    settings: Settings
    thresholds: np.ndarray  # (category)
    rows: list[Row]
    targets: np.ndarray  # (text, label)
    scores: np.ndarray  # (text, label)

    def score(self, texts: list[str]) -> np.ndarray:
        """Of other texts (text, label)."""
        binary, model = self.arguments.binary, self.arguments.model
        return served.scores(binary, model, texts, list(self.settings.labels))

    def of_other_rows(self, rows: list[Row]) -> "Measured":
        """The same model with other texts."""
        labels = self.settings.labels
        targets = np.array([row.targets(labels) for row in rows]).reshape(-1, len(labels))
        return replace(self, rows=rows, targets=targets, scores=self.score([row.text for row in rows]))

    def part(self, places: list[int]) -> "Measured":
        """Some of the texts."""
        rows = [self.rows[place] for place in places]
        return replace(self, rows=rows, targets=self.targets[places], scores=self.scores[places])

    def of_language(self, language: str) -> "Measured":
        """The texts in a language."""
        return self.part([place for place, row in enumerate(self.rows) if row.language == language])

    def flags(self, scores: np.ndarray) -> np.ndarray:
        """Whether a text violates a category (text, category), of scores (text, label)."""
        return scores[:, self.settings.of_categories()] >= self.thresholds

    def any_flags(self) -> np.ndarray:
        """Whether a text violates anything (text)."""
        return self.flags(self.scores).any(axis=1)

    def violations(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each text (text): whether it is a violation, whether it is known to be or not to be
        one, and its highest score of a category."""
        categories = self.settings.of_categories()
        targets = self.targets[:, categories]
        is_any = (targets == 1).any(axis=1)
        is_known = is_any | (targets != UNKNOWN).all(axis=1)
        return is_any, is_known, self.scores[:, categories].max(axis=1)

    def known(self, labels: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By label: whether a text is positive, and its score, wherever the label is known."""
        found = {}
        for label in labels:
            col = self.settings.labels.index(label)
            is_known = self.targets[:, col] != UNKNOWN
            found[label] = (self.targets[is_known, col] == 1, self.scores[is_known, col])
        return found

    def own(self, name: str) -> list[dict]:
        """One of the folder's own sets of texts, as JSON lines."""
        file = self.arguments.model / "data" / name
        return [json.loads(line) for line in file.read_text().splitlines()]


def measure(arguments: argparse.Namespace, rows: list[Row]) -> Measured:
    """Scores the texts."""
    settings = settings_file.read(arguments.model / "settings.toml")
    policy = tomllib.loads((arguments.model / "policy.toml").read_text())
    if any(it.get("label") != it["id"] for it in policy["categories"]):
        sys.exit("expected a policy that calls its categories as the model does")
    found = {it["id"]: it["threshold"] for it in policy["categories"]}
    thresholds = np.array([found[settings.labels[col]] for col in settings.of_categories()])
    nothing = np.empty((0, len(settings.labels)))
    return Measured(arguments, settings, thresholds, [], nothing, nothing).of_other_rows(rows)

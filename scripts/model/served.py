"""Scores as moderato gives them: whole texts, windows and all."""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

LARGEST = 1 - 2.0**-24  # below 1 in single precision


def scores(
    binary: str, model: Path, texts: Iterable[str], categories: list[str], *options: str
) -> np.ndarray:
    """Calibrated scores (text, category)."""
    with tempfile.TemporaryDirectory() as folder:
        question, answer = Path(folder, "texts.jsonl"), Path(folder, "scores.jsonl")
        with question.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        command = [binary, "score", "--model", model, "--input", question, "--output", answer]
        subprocess.run([*map(str, command), *options], check=True)
        lines = map(json.loads, answer.read_text(encoding="utf-8").splitlines())
        return np.array(
            [[line["categories"][category]["score"] for category in categories] for line in lines]
        )


def log_odds(
    binary: str, model: Path, texts: Iterable[str], categories: list[str]
) -> np.ndarray:
    """What a calibration is applied to (text, category): the scores of the folder without one."""
    with tempfile.TemporaryDirectory() as folder:
        for file in model.iterdir():
            if file.name not in ("calibration.json", "self_test.jsonl", "policy.toml"):
                Path(folder, file.name).symlink_to(file.resolve())
        plain = scores(binary, Path(folder), texts, categories)
    plain = np.clip(plain, 1 - LARGEST, LARGEST)
    return np.log(plain) - np.log1p(-plain)

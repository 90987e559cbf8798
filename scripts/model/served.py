"""Scores as moderato gives them: whole texts, windows and all."""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

LARGEST = 1 - 2.0**-24  # below 1 in single precision


def scores(
    binary: str, model: Path, texts: Iterable[str], labels: list[str], *options: str
) -> np.ndarray:
    """Calibrated scores (text, label)."""
    return scores_without(("policy.toml",), binary, model, texts, labels, *options)


def log_odds(binary: str, model: Path, texts: Iterable[str], labels: list[str]) -> np.ndarray:
    """What a calibration is applied to (text, label): the scores of the folder without one."""
    files = ("policy.toml", "calibration.json", "self_test.jsonl")
    plain = np.clip(scores_without(files, binary, model, texts, labels), 1 - LARGEST, LARGEST)
    return np.log(plain) - np.log1p(-plain)


def scores_without(
    files: tuple[str, ...], binary: str, model: Path, texts: Iterable[str], labels: list[str],
    *options: str,
) -> np.ndarray:
    """Scores (text, label) of the folder without some files; without a policy, every label is a
    category."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder, model.name)
        plain.mkdir()
        for file in model.iterdir():
            if file.name not in files:
                Path(plain, file.name).symlink_to(file.resolve())
        question, answer = Path(folder, "texts.jsonl"), Path(folder, "scores.jsonl")
        with question.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        command = [binary, "score", "--model", plain, "--input", question, "--output", answer]
        subprocess.run([*map(str, command), *options], check=True)
        lines = map(json.loads, answer.read_text(encoding="utf-8").splitlines())
        found = [[line["categories"][label]["score"] for label in labels] for line in lines]
        return np.array(found).reshape(-1, len(labels))  # also of no texts


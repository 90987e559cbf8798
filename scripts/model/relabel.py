"""Has models that were trained on exact rows speak about the less exact ones.

    python3 scripts/model/relabel.py --settings SETTINGS \\
        --prepared PREPARED --teacher WEIGHTS --teacher WEIGHTS

Writes the set `relabelled` beside `train`: the same rows, and for those of the origins in
[relabel], labels between what they said and what the teachers say. A known label that the teachers
contradict is not known any more.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from transformers import AutoModelForSequenceClassification

import encoder
import prepared as prepared_set
import settings as settings_file
from rows import UNKNOWN
from settings import Relabel


def main() -> None:
    """Reads, asks the teachers, writes."""
    arguments = parse_arguments()
    settings = settings_file.read(arguments.settings)
    train_set = prepared_set.load(arguments.prepared, "train")
    origins = settings.relabel.origins
    counts = train_set.weights(settings.train) > 0
    rows = np.flatnonzero(counts & [origin in origins for origin in train_set.origins])
    max_tokens = settings.train.max_tokens
    said = np.mean([probabilities(it, train_set, rows, max_tokens) for it in arguments.teacher], axis=0)
    labels = train_set.labels.copy()
    labels[rows] = agreed(labels[rows], said, settings.relabel)
    report(train_set.labels[rows], labels[rows], list(settings.categories))
    made = dataclasses.replace(train_set, labels=labels)
    made.save(arguments.prepared, arguments.name)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--settings", type=Path, required=True, metavar="FILE", help="TOML")
    add("--prepared", type=Path, required=True, metavar="FOLDER", help="by prepare.py")
    add("--teacher", type=Path, required=True, action="append", metavar="FOLDER", help="by train.py")
    add("--name", default="relabelled", help="the set to write (default: %(default)s)")
    return parser.parse_args()


def probabilities(
    folder: Path, train_set: prepared_set.Prepared, rows: np.ndarray, max_tokens: int
) -> np.ndarray:
    """Of a teacher, without the weight that positives had when it was trained."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    logits = encoder.logits(model, train_set, rows, max_tokens)
    return 1 / (1 + np.exp(np.log(encoder.positive_weights(folder)) - logits))


def agreed(labels: np.ndarray, said: np.ndarray, relabel: Relabel) -> np.ndarray:
    """Labels (row, category) after the teachers have been heard."""
    is_known = prepared_set.known(labels)
    mixed = (1 - relabel.trust) * labels + relabel.trust * said
    contradicted = np.abs(labels - said) > relabel.contradiction
    heard = np.where(contradicted, UNKNOWN, mixed)
    unheard = said if relabel.unknown else np.full_like(said, UNKNOWN)
    return np.where(is_known, heard, unheard).astype(np.float32)


def report(before: np.ndarray, after: np.ndarray, categories: list[str]) -> None:
    """What has changed."""
    for col, category in enumerate(categories):
        was, now = before[:, col], after[:, col]
        n_known = int(prepared_set.known(was).sum())
        n_left = int(((was != UNKNOWN) & (now == UNKNOWN)).sum())
        print(f"{category:<26}{n_known:>8} known{n_left:>8} contradicted", end="")
        print(f"{(now > 0.5).sum():>8} positive after, {(was == 1).sum()} before")


if __name__ == "__main__":
    main()

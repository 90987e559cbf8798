"""Has models that were trained on exact rows speak about the less exact ones.

    python3 scripts/model/relabel.py --settings SETTINGS \\
        --prepared PREPARED --teacher WEIGHTS --teacher WEIGHTS

Writes the set `relabelled` beside `train`: the same rows, and for those of the origins in
[relabel.trust], labels between what they said and what the teachers say. A known label that the
teachers contradict is not known any more. Teachers with another tokenizer than the model's read the
same rows from a folder of their own, made by prepare.py with the same settings and texts.
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
from settings import Relabel, Train


def main() -> None:
    """Reads, asks the teachers, writes."""
    arguments = parse_arguments()
    settings = settings_file.read(arguments.settings)
    if strange := set(settings.relabel.silent) - set(settings.categories):
        raise SystemExit(f"relabel.py: no such category: {', '.join(sorted(strange))}")
    train_set = prepared_set.load(arguments.prepared, "train")
    read_set = train_set
    if arguments.teacher_prepared:
        read_set = prepared_set.load(arguments.teacher_prepared, "train")
        if read_set.names != train_set.names:
            raise SystemExit(f"relabel.py: expected the same rows in {arguments.teacher_prepared}")
    trust = np.array([settings.relabel.trust.get(origin, 0.0) for origin in train_set.origins])
    rows = np.flatnonzero((train_set.weights(settings.train) > 0) & (trust > 0))
    said = np.mean(
        [probabilities(it, read_set, rows, settings.train) for it in arguments.teacher], axis=0
    )
    labels = train_set.labels.copy()
    heard = [category not in settings.relabel.silent for category in settings.categories]
    agreement = agreed(labels[rows], said, trust[rows, None], settings.relabel)
    labels[rows] = np.where(heard, agreement, labels[rows])
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
    add("--teacher-prepared", type=Path, metavar="FOLDER", help="default: that of --prepared")
    add("--name", default="relabelled", help="the set to write (default: %(default)s)")
    return parser.parse_args()


def probabilities(
    folder: Path, read_set: prepared_set.Prepared, rows: np.ndarray, train: Train
) -> np.ndarray:
    """Of a teacher, without the weight that positives had when it was trained."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    logits = encoder.logits(model, read_set, rows, train.max_tokens, train.precision)
    return 1 / (1 + np.exp(np.log(encoder.positive_weights(folder)) - logits))


def agreed(
    labels: np.ndarray, said: np.ndarray, trust: np.ndarray, relabel: Relabel
) -> np.ndarray:
    """Labels (row, category) after the teachers have been heard; trust is (row, 1)."""
    is_known = prepared_set.known(labels)
    mixed = (1 - trust) * labels + trust * said
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

"""Has models that were trained on exact rows speak about the labels of all rows.

    python3 scripts/model/relabel.py --settings SETTINGS --prepared PREPARED \\
        --teacher WEIGHTS --teacher-prepared PREPARED --teacher WEIGHTS --teacher-prepared PREPARED

Writes the set `relabelled` beside `train`: the same rows, and for those of the origins in
[relabel.trust], labels between what they said and what the teachers say, on average. A known label
that the teachers contradict becomes unknown.

Each teacher reads rows in its own tokens, from a folder made by prepare.py with the same texts
(that of --prepared if none is given). A teacher that does not read a row's language speaks about
the row's original, if that is among its rows: what it says of an English text holds for the
translations of it.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from transformers import AutoModelForSequenceClassification

import encoder
import prepared as prepared_set
import settings as settings_file
from prepared import Prepared
from rows import UNKNOWN, original_of
from settings import Relabel, Settings


def main() -> None:
    """Reads, asks the teachers, writes."""
    arguments = parse_arguments()
    settings = settings_file.read(arguments.settings)
    if strange := set(settings.relabel.silent) - set(settings.labels):
        raise SystemExit(f"relabel.py: no such label: {', '.join(sorted(strange))}")
    train_set = prepared_set.load(arguments.prepared, "train")
    trust = np.array([settings.relabel.trust.get(origin, 0.0) for origin in train_set.origins])
    rows = np.flatnonzero((train_set.weights(settings.train) > 0) & (trust > 0))
    said = np.full((len(rows), len(settings.labels)), np.nan, dtype=np.float32)
    words = [word_of(*teacher, train_set, rows, settings) for teacher in teachers(arguments)]
    is_said = ~np.isnan(words).all(axis=(0, 2))
    said[is_said] = np.nanmean(np.array(words)[:, is_said], axis=0)
    rows, said = rows[is_said], said[is_said]
    targets = train_set.targets.copy()
    heard = [label not in settings.relabel.silent for label in settings.labels]
    agreement = agreed(targets[rows], said, trust[rows, None], settings.relabel)
    targets[rows] = np.where(heard, agreement, targets[rows])
    print(f"{len(rows)} of {len(train_set)} rows")
    report(train_set.targets[rows], targets[rows], settings.labels)
    made = dataclasses.replace(train_set, targets=targets)
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
    add("--teacher-prepared", type=Path, default=[], action="append", metavar="FOLDER",
        help="of each teacher (default: that of --prepared)")
    add("--name", default="relabelled", help="the set to write (default: %(default)s)")
    return parser.parse_args()


def teachers(arguments: argparse.Namespace) -> list[tuple[Path, Path]]:
    """Each with the folder that it reads."""
    folders = arguments.teacher_prepared or [arguments.prepared] * len(arguments.teacher)
    if len(folders) != len(arguments.teacher):
        raise SystemExit("relabel.py: expected as many --teacher-prepared as there are teachers")
    return list(zip(arguments.teacher, folders, strict=True))


def word_of(
    teacher: Path, folder: Path, train_set: Prepared, rows: np.ndarray, settings: Settings
) -> np.ndarray:
    """Probabilities (row, label) by a teacher; NaN of rows that it has nothing to say about."""
    if settings_file.read(teacher / "settings.toml").labels != settings.labels:
        raise SystemExit(f"relabel.py: expected the labels of the settings in {teacher}")
    read_set = prepared_set.load(folder, "train")
    place_of = {name: place for place, name in enumerate(read_set.names)}
    names = [train_set.names[row] for row in rows]
    places = np.array([place_of.get(name, place_of.get(original_of(name), -1)) for name in names])
    is_read = places >= 0
    read, back = np.unique(places[is_read], return_inverse=True)
    found = np.full((len(rows), len(settings.labels)), np.nan, dtype=np.float32)
    found[is_read] = probabilities(teacher, read_set, read, settings)[back]
    return found


def probabilities(
    folder: Path, read_set: Prepared, rows: np.ndarray, settings: Settings
) -> np.ndarray:
    """Of a teacher, without the weight that positives had when it was trained."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    logits = encoder.logits(model, read_set, rows, settings.train.max_tokens, settings.train.precision)
    return 1 / (1 + np.exp(np.log(encoder.positive_weights(folder)) - logits))


def agreed(
    targets: np.ndarray, said: np.ndarray, trust: np.ndarray, relabel: Relabel
) -> np.ndarray:
    """Targets (row, label) after the teachers have been heard; trust is (row, 1)."""
    is_known = prepared_set.known(targets)
    mixed = (1 - trust) * targets + trust * said
    contradicted = np.abs(targets - said) > relabel.contradiction
    heard = np.where(contradicted, UNKNOWN, mixed)
    unheard = said if relabel.unknown else np.full_like(said, UNKNOWN)
    return np.where(is_known, heard, unheard).astype(np.float32)


def report(before: np.ndarray, after: np.ndarray, labels: tuple[str, ...]) -> None:
    """What has changed."""
    for col, label in enumerate(labels):
        was, now = before[:, col], after[:, col]
        n_known = int(prepared_set.known(was).sum())
        n_left = int(((was != UNKNOWN) & (now == UNKNOWN)).sum())
        print(f"{label:<40}{n_known:>8} known{n_left:>8} contradicted", end="")
        print(f"{(now > 0.5).sum():>8} positive after, {(was == 1).sum()} before")


if __name__ == "__main__":
    main()

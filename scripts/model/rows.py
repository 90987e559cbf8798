"""Texts and what is known about them: JSON lines of {"id", "text", "labels": {label: 1 | 0 | null}}
and optionally "clauses" (more labels), "language" (else English), "source", "origin" and "part"; or a table in CSV with a column "text" and one of 1 and 0 for each label. A label that is
missing, null or empty is not known for that text; a text without "labels" is of the origin
"unlabelled". The id of a translation is that of its original, "@" and the language.

Sentence pairs are JSON lines of {"english", "text", "language", "source"}."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

UNKNOWN = -1.0
ENGLISH = "en"
UNLABELLED = "unlabelled"
TRANSLATION = re.compile(r"@[a-z]{2}(:\w+)?$")
LABELS = {"1": 1, "0": 0, "": None}  # as a table writes them


@dataclass(frozen=True)
class Row:
    """One text and what is known about it."""

    id: str
    text: str
    labels: dict[str, int | None] = field(default_factory=dict)
    source: str = "unnamed"
    origin: str = "annotated"
    language: str = ENGLISH
    part: str = ""

    def targets(self, labels: tuple[str, ...]) -> list[float]:
        """1, 0 or UNKNOWN for each label; "a/b" is 0 where nothing else is known and "a" is 0."""
        found = (self.labels.get(label, self.implied(label)) for label in labels)
        return [UNKNOWN if value is None else float(value) for value in found]

    def implied(self, label: str) -> int | None:
        """What a label says about the labels below it."""
        whole, _, below = label.partition("/")
        return 0 if below and self.labels.get(whole) == 0 else None

    def original(self) -> str:
        """The id of the text that this one is a translation of; its own if it is none."""
        return original_of(self.id)


class BadRow(Exception):
    """A line that is no row; says which and why."""


def original_of(name: str) -> str:
    """The id without the language of a translation, and what may follow that."""
    return TRANSLATION.sub("", name)


def read(file: Path) -> Iterator[Row]:
    """Rows of a file: of a table if it ends in .csv, else of lines, which may be compressed with
    zstandard (.zst)."""
    if file.suffix == ".csv":
        yield from read_table(file)
        return
    for found, place in read_json(file):
        yield parse(found, place)


def read_json(file: Path) -> Iterator[tuple[dict, str]]:
    """Objects of a file of lines, each with its place; no text is ever named in what is raised."""
    with file.open("rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw) if file.suffix == ".zst" else raw
        for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8-sig"), start=1):
            place = f"{file}, line {number}"
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except json.JSONDecodeError as fault:
                raise BadRow(f"{place}: {fault.msg}") from None
            if not isinstance(found, dict):
                raise BadRow(f"{place}: expected an object")
            yield found, place


def read_table(file: Path) -> Iterator[Row]:
    """Every column but "text" is a label."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines)
        for cells in table:
            place = f"{file}, line {table.line_num}"
            text = cells.pop("text", None)
            if text is None:
                raise BadRow(f'{file}: expected a column "text"')
            if not text.strip():
                raise BadRow(f"{place}: the text is empty")
            labels = {name: LABELS.get((cell or "").strip(), cell) for name, cell in cells.items()}
            if strange := [name for name, it in labels.items() if it not in (0, 1, None)]:
                raise BadRow(f"{place}: expected 1, 0 or nothing in column {strange[0]}")
            yield Row(name_of(text), text, labels)


def parse(found: dict, place: str) -> Row:
    """A row of an object; `place` is named in what is raised."""
    text = string_of(found, "text", place)
    labels = labels_of(found, "labels", place) | labels_of(found, "clauses", place)
    keys = ("source", "origin", "language", "part")
    named = {key: str(found[key]) for key in keys if key in found}
    if "labels" not in found:
        named.setdefault("origin", UNLABELLED)
    return Row(str(found.get("id", name_of(text))), text, labels, **named)


def name_of(text: str) -> str:
    """An id for a text without one."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_labels(file: Path) -> dict[str, dict[str, int | None]]:
    """By the id of a text, labels that are known about it besides those of its row."""
    return {str(found.get("id")): labels_of(found, "labels", place) for found, place in read_json(file)}


def read_pairs(file: Path) -> Iterator[Row]:
    """Of sentence pairs, the English sentence, once, and its translations; nothing is known about
    their labels."""
    named = set()
    for found, place in read_json(file):
        english, text = string_of(found, "english", place), string_of(found, "text", place)
        source = str(found.get("source", "unnamed"))
        name = f"{source}:{name_of(english)}"
        kind = {"source": source, "origin": UNLABELLED}
        if name not in named:
            named.add(name)
            yield Row(name, english, **kind)
        language = string_of(found, "language", place)
        yield Row(f"{name}@{language}", text, language=language, **kind)


def string_of(found: dict, key: str, place: str) -> str:
    """A string that is more than spaces."""
    value = found.get(key)
    if not isinstance(value, str):
        raise BadRow(f'{place}: expected a string "{key}"')
    if not value.strip():
        raise BadRow(f'{place}: "{key}" is empty')
    return value


def labels_of(found: dict, key: str, place: str) -> dict[str, int | None]:
    """Labels under a key; none if it is not there."""
    labels = found.get(key, {})
    if not isinstance(labels, dict) or not all(it in (0, 1, None) for it in labels.values()):
        raise BadRow(f'{place}: expected "{key}" of 1, 0 or null')
    return labels

"""Labelled texts: JSON lines of {"id", "text", "labels": {category: 1 | 0 | null}} and, if known,
"source" and "origin"; or a table in CSV with a column "text" and one of 1 and 0 for each category.
A category that is missing, null or empty is not known for that text."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

UNKNOWN = -1.0


@dataclass(frozen=True)
class Row:
    """One text and what is known about it."""

    id: str
    text: str
    labels: dict[str, int | None]
    source: str = "unnamed"
    origin: str = "annotated"

    def targets(self, categories: list[str]) -> list[float]:
        """1, 0 or UNKNOWN for each category."""
        found = (self.labels.get(category) for category in categories)
        return [UNKNOWN if label is None else float(label) for label in found]


class BadRow(Exception):
    """A line that is no row; says which and why."""


def read(file: Path) -> Iterator[Row]:
    """Rows of a file: of a table if it ends in .csv, else of lines, which may be compressed with
    zstandard (.zst)."""
    if file.suffix == ".csv":
        yield from read_table(file)
        return
    with file.open("rb") as raw:
        stream = zstandard.ZstdDecompressor().stream_reader(raw) if file.suffix == ".zst" else raw
        for number, line in enumerate(io.TextIOWrapper(stream, encoding="utf-8-sig"), start=1):
            if line.strip():
                yield parse(line, f"{file}, line {number}")


def read_table(file: Path) -> Iterator[Row]:
    """Every column but "text" is a category."""
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
            yield Row(place, text, labels)


LABELS = {"1": 1, "0": 0, "": None}


def parse(line: str, place: str) -> Row:
    """One line; `place` is named in what is raised. The text itself never is."""
    try:
        found = json.loads(line)
    except json.JSONDecodeError as fault:
        raise BadRow(f"{place}: {fault.msg}") from None
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        raise BadRow(f'{place}: expected an object with a string "text"')
    labels = found.get("labels", {})
    if not isinstance(labels, dict) or not all(it in (0, 1, None) for it in labels.values()):
        raise BadRow(f'{place}: expected "labels" of 1, 0 or null')
    if not found["text"].strip():
        raise BadRow(f"{place}: the text is empty")
    named = {key: str(found[key]) for key in ("source", "origin") if key in found}
    return Row(str(found.get("id", place)), found["text"], labels, **named)

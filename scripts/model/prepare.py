"""Makes a training set of labelled texts: checked, without leaks, tokenised.

    python3 scripts/model/prepare.py --settings scripts/model/moderato-small.toml \\
        --base BASE --rows train.jsonl.zst --rows written.jsonl --clauses clauses.jsonl.zst \\
        --pairs parallel.jsonl.zst --development dev.jsonl --keep-out other.jsonl \\
        --sources SOURCES.md --output PREPARED

Rows, more labels of them and sentence pairs are JSON lines, or rows a table in CSV: see rows.py.
Drops near-duplicates of evaluation texts (of --development and of every --keep-out) and the ids in
--leave-out, each with all its translations. Development rows of the part "report" are kept out of
the training, but not developed with.

One in --hold-out of the harmless rows is held out as well: calibrate.py finds thresholds with them.
So is one in --hold-out-pairs of the sentence pairs, and as many others, which are for the card.

Writes the sets `train` and `development`; development.jsonl, harmless.jsonl and everyday.jsonl (the
pairs for the card); and manifest.json, which says of each source where it is, under which licence,
and what its labels say.
"""

import argparse
import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import settings as settings_file
from leaks import Evaluation
from prepared import Prepared
from rewrite import rewritten
from rows import ENGLISH, UNKNOWN, BadRow, Row, read, read_labels, read_pairs
from settings import Settings

MOST_DEVELOPMENT_TOKENS = 512
DEVELOPMENT_SHARE = 5  # one in so many
REPORT = "report"  # the part of a development set that nothing is chosen with


@dataclass(frozen=True)
class Texts:
    """All rows, by what they are for."""

    train: list[Row]
    development: list[Row]
    harmless: list[Row]  # to find thresholds with
    everyday: list[Row]  # to say how often harmless texts are flagged


def main() -> None:
    """Reads, checks, tokenises, writes."""
    arguments = parse_arguments()
    settings = settings_file.read(arguments.settings)
    tokenizer = plain_tokenizer(arguments.base)
    try:
        texts = divided(arguments, settings)
    except (BadRow, OSError) as fault:
        raise SystemExit(f"prepare.py: {fault}") from None
    if not texts.train or not texts.development:
        raise SystemExit("prepare.py: no texts are left to train with, or none to develop with")
    check_labels(settings, texts.train)
    english = [row for row in texts.train if row.language == ENGLISH and row.labels]
    added = rewritten(english, settings.augment)
    print(f"{len(texts.train)} rows to train with, {len(added)} rewritten; ", end="")
    print(f"{len(texts.harmless)} and {len(texts.everyday)} harmless ones held out")

    folder = arguments.output
    whole = [*texts.train, *added]
    tokenised(tokenizer, whole, settings, settings.train.max_tokens).save(folder, "train")
    measured = tokenised(tokenizer, texts.development, settings, MOST_DEVELOPMENT_TOKENS)
    measured.save(folder, "development")
    for name in ("development", "harmless", "everyday"):
        write_rows(folder / f"{name}.jsonl", getattr(texts, name))
    manifest = describe(texts.train, settings, arguments)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"wrote {folder}")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--settings", type=Path, required=True, metavar="FILE", help="TOML")
    add("--base", type=Path, required=True, metavar="FOLDER", help="with a tokenizer.json")
    add("--rows", type=Path, required=True, action="append", metavar="FILE", help="to train with")
    add("--clauses", type=Path, metavar="FILE", help="more labels of the rows, by id")
    add("--pairs", type=Path, metavar="FILE", help="sentence pairs, of harmless texts")
    add("--development", type=Path, default=[], action="append", metavar="FILE",
        help="to measure with, else a fifth of the rows")
    add("--keep-out", type=Path, default=[], action="append", metavar="FILE", help="others to measure with")
    add("--leave-out", type=Path, metavar="FILE", help="ids, a line each")
    add("--sources", type=Path, metavar="FILE", help="a table of sources, in Markdown")
    add("--hold-out", type=int, default=40, metavar="N", help="one in N (default: %(default)s)")
    add("--hold-out-pairs", type=int, default=6, metavar="N", help="one in N (default: %(default)s)")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    return parser.parse_args()


def plain_tokenizer(base: Path) -> Tokenizer:
    """Without the truncation and padding that its file may carry."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


# Which rows are for what.


def divided(arguments: argparse.Namespace, settings: Settings) -> Texts:
    """Reads everything, and gives each row its purpose."""
    clauses = read_labels(arguments.clauses) if arguments.clauses else {}
    rows = [with_labels(row, clauses) for file in arguments.rows for row in read(file)]
    pairs = list(read_pairs(arguments.pairs)) if arguments.pairs else []
    development = [
        with_labels(row, clauses) for file in arguments.development for row in read(file)
    ]
    if not development:
        development = [row for row in rows if is_chosen(row, DEVELOPMENT_SHARE, "development")]
    kept_out = [row for file in arguments.keep_out for row in read(file)]
    evaluation = Evaluation(row.text for row in [*development, *kept_out])
    refused = set(arguments.leave_out.read_text().split()) if arguments.leave_out else set()
    refused |= {row.original() for row in [*rows, *pairs] if evaluation.holds(row.text)}
    print(f"{len(refused)} texts are left out, with their translations")
    rows, pairs = (
        [row for row in part if row.original() not in refused] for part in (rows, pairs)
    )
    harmless = [
        row for row in rows
        if is_harmless(row, settings) and is_chosen(row, arguments.hold_out, "harmless")
    ]
    one_in = arguments.hold_out_pairs
    harmless_pairs = [row for row in pairs if is_chosen(row, one_in, "harmless")]
    others = (row for row in pairs if not is_chosen(row, one_in, "harmless"))
    everyday = [row for row in others if is_chosen(row, one_in, "everyday")]
    held_out = [*harmless, *harmless_pairs, *everyday]
    names, copies = {row.original() for row in held_out}, {row.text for row in held_out}
    train = [
        row for row in [*rows, *pairs] if row.original() not in names and row.text not in copies
    ]
    development = [row for row in development if row.part != REPORT]
    # Not before now: what is held out must not depend on the languages that a model reads.
    parts = (train, development, [*harmless, *harmless_pairs], everyday)
    return Texts(*([row for row in part if is_read(row, settings)] for part in parts))


def with_labels(row: Row, more: dict[str, dict[str, int | None]]) -> Row:
    """The row, with what is known besides."""
    return replace(row, labels=row.labels | more.get(row.id, {}))


def is_read(row: Row, settings: Settings) -> bool:
    """Whether the model reads its language."""
    return not settings.languages or row.language in settings.languages


def is_harmless(row: Row, settings: Settings) -> bool:
    """Whether it is known to violate nothing."""
    return all(row.labels.get(label) == 0 for label in settings.categories or settings.labels)


def is_chosen(row: Row, one_in: int, purpose: str) -> bool:
    """One in so many, other ones for each purpose; a text and its translations together."""
    digest = hashlib.sha256(f"{purpose} {row.original()}".encode()).digest()
    return one_in > 0 and int.from_bytes(digest[:8]) % one_in == 0


def check_labels(settings: Settings, rows: list[Row]) -> None:
    """Ends the program if a row has a label that the settings lack; names labels without positives."""
    counts = Counter(label for row in rows for label, value in row.labels.items() if value == 1)
    strange = {label for row in rows for label in row.labels} - set(settings.labels)
    if strange:
        raise SystemExit(f"prepare.py: no such label: {', '.join(sorted(strange))}")
    if missing := [label for label in settings.labels if not counts[label]]:
        print(f"no row is positive for {', '.join(missing)}")


def write_rows(file: Path, rows: list[Row]) -> None:
    """As JSON lines."""
    keys = ("id", "text", "language", "source", "labels")
    lines = ({key: getattr(row, key) for key in keys} for row in rows)
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def tokenised(
    tokenizer: Tokenizer, rows: list[Row], settings: Settings, max_tokens: int
) -> Prepared:
    """Rows as a model reads them."""
    ids, starts = [], [0]
    for first in range(0, len(rows), 4096):
        for encoded in tokenizer.encode_batch([row.text for row in rows[first : first + 4096]]):
            cut = encoded.ids
            if len(cut) > max_tokens:
                cut = [*cut[: max_tokens - 1], cut[-1]]
            ids.append(np.array(cut, dtype=np.uint32))
            starts.append(starts[-1] + len(cut))
    targets = np.array([row.targets(settings.labels) for row in rows], dtype=np.float32)
    return Prepared(
        ids=np.concatenate(ids),
        starts=np.array(starts, dtype=np.int64),
        targets=targets,
        names=[row.id for row in rows],
        origins=[row.origin for row in rows],
        sources=[row.source for row in rows],
        languages=[row.language for row in rows],
    )


def describe(rows: list[Row], settings: Settings, arguments: argparse.Namespace) -> dict:
    """Of each source: rows, where it is, its licence, and what its labels say."""
    by_source = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    known = table_of(arguments.sources) if arguments.sources else {}
    sources = {}
    for name, part in sorted(by_source.items(), key=lambda it: (-len(it[1]), it[0])):
        targets = np.array([row.targets(settings.labels) for row in part])
        counts = {
            label: {"positive": int((col == 1).sum()), "known": int((col != UNKNOWN).sum())}
            for label, col in zip(settings.labels, targets.T, strict=True)
            if (col != UNKNOWN).any()
        }
        origins = dict(sorted(Counter(row.origin for row in part).items()))
        languages = dict(sorted(Counter(row.language for row in part).items()))
        sources[name] = {
            "rows": len(part), "origins": origins, "languages": languages,
            **known.get(name, {}), "labels": counts,
        }
    return {"rows": len(rows), "labels": list(settings.labels), "sources": sources}


def table_of(file: Path) -> dict[str, dict[str, str]]:
    """The rows of a table | source | rows | where | licence |."""
    found = {}
    for line in file.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and cells[1].isdigit():
            found[cells[0]] = {"where": cells[2], "licence": cells[3]}
    return found


if __name__ == "__main__":
    main()

"""Makes a training set of labelled texts: checked, without leaks, tokenised.

    python3 scripts/model/prepare.py --settings scripts/model/moderato-small.toml \\
        --base BASE --rows train.jsonl.zst --rows written.jsonl --development dev.jsonl \\
        --keep-out other.jsonl --sources SOURCES.md --output PREPARED

Rows are JSON lines or a table in CSV: see rows.py. Those that nearly are evaluation texts are left
out: texts of --development and of every --keep-out. One in --hold-out of the harmless rows is left
out too; calibrate.py finds thresholds with them. Writes the sets `train` and `development`,
development.jsonl and harmless.jsonl, and manifest.json, which says of each source where it is,
under which licence, and what its labels say.
"""

import argparse
import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

import settings as settings_file
from leaks import Evaluation
from prepared import Prepared
from rewrite import rewritten
from rows import UNKNOWN, BadRow, Row, read
from settings import Settings

MOST_DEVELOPMENT_TOKENS = 512
DEVELOPMENT_SHARE = 5  # one in so many


def main() -> None:
    """Reads, checks, tokenises, writes."""
    arguments = parse_arguments()
    settings = settings_file.read(arguments.settings)
    tokenizer = plain_tokenizer(arguments.base)
    try:
        development = list(read(arguments.development)) if arguments.development else []
        kept_out = [row for file in arguments.keep_out for row in read(file)]
        rows = [row for file in arguments.rows for row in read(file)]
    except (BadRow, OSError) as fault:
        raise SystemExit(f"prepare.py: {fault}") from None
    check_labels(settings, rows)
    if not development:
        development = [row for row in rows if is_chosen(row, DEVELOPMENT_SHARE, "development")]

    evaluation = Evaluation(row.text for row in [*development, *kept_out])
    clean = [row for row in rows if not evaluation.holds(row.text)]
    chosen = (row for row in clean if is_chosen(row, arguments.hold_out, "harmless"))
    harmless = [row for row in chosen if is_harmless(row, settings)]
    held_out = {row.id for row in harmless}
    train = [row for row in clean if row.id not in held_out]
    added = rewritten(train, settings.augment, settings.train.seed)
    print(f"{len(rows)} rows: {len(rows) - len(clean)} too near to evaluation texts, ", end="")
    print(f"{len(harmless)} held out, {len(train)} to train with and {len(added)} rewritten")

    folder = arguments.output
    whole = [*train, *added]
    tokenised(tokenizer, whole, settings, settings.train.max_tokens).save(folder, "train")
    measured = tokenised(tokenizer, development, settings, MOST_DEVELOPMENT_TOKENS)
    measured.save(folder, "development")
    write_rows(folder / "development.jsonl", development)
    write_rows(folder / "harmless.jsonl", harmless)
    manifest = describe(train, settings, arguments)
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
    add("--development", type=Path, metavar="FILE", help="to measure with, else a fifth of the rows")
    add("--keep-out", type=Path, default=[], action="append", metavar="FILE", help="others to measure with")
    add("--sources", type=Path, metavar="FILE", help="a table of sources, in Markdown")
    add("--hold-out", type=int, default=40, metavar="N", help="one in N (default: %(default)s)")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    return parser.parse_args()


def plain_tokenizer(base: Path) -> Tokenizer:
    """Without the truncation and padding that its file may carry."""
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def check_labels(settings: Settings, rows: list[Row]) -> None:
    """Ends the program if a row has a label that is no category, or a category has no positives."""
    strange = {label for row in rows for label in row.labels} - set(settings.categories)
    if strange:
        raise SystemExit(f"prepare.py: no such category: {', '.join(sorted(strange))}")
    for category in settings.categories:
        if not any(row.labels.get(category) == 1 for row in rows):
            raise SystemExit(f"prepare.py: no row is labelled {category}")


def is_harmless(row: Row, settings: Settings) -> bool:
    """Whether it is known to violate nothing."""
    return all(row.labels.get(category) == 0 for category in settings.categories)


def is_chosen(row: Row, one_in: int, purpose: str) -> bool:
    """One in so many, by what the text is and not by where it stands; other ones for each purpose."""
    digest = hashlib.sha256(f"{purpose} {row.text}".encode()).digest()
    return one_in > 0 and int.from_bytes(digest[:8]) % one_in == 0


def write_rows(file: Path, rows: list[Row]) -> None:
    """As JSON lines."""
    lines = ({"id": row.id, "text": row.text, "labels": row.labels} for row in rows)
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


def tokenised(
    tokenizer: Tokenizer, rows: list[Row], settings: Settings, max_tokens: int
) -> Prepared:
    """Rows as a model reads them."""
    categories = list(settings.categories)
    ids, starts = [], [0]
    for first in range(0, len(rows), 4096):
        for encoded in tokenizer.encode_batch([row.text for row in rows[first : first + 4096]]):
            cut = encoded.ids
            if len(cut) > max_tokens:
                cut = [*cut[: max_tokens - 1], cut[-1]]
            ids.append(np.array(cut, dtype=np.uint32))
            starts.append(starts[-1] + len(cut))
    labels = np.array([row.targets(categories) for row in rows], dtype=np.float32)
    return Prepared(
        ids=np.concatenate(ids),
        starts=np.array(starts, dtype=np.int64),
        labels=labels,
        names=[row.id for row in rows],
        origins=[row.origin for row in rows],
        sources=[row.source for row in rows],
    )


def describe(rows: list[Row], settings: Settings, arguments: argparse.Namespace) -> dict:
    """Of each source: rows, where it is, its licence, and what its labels say."""
    by_source = defaultdict(list)
    for row in rows:
        by_source[row.source].append(row)
    known = table_of(arguments.sources) if arguments.sources else {}
    sources = {}
    for name, part in sorted(by_source.items(), key=lambda it: (-len(it[1]), it[0])):
        labels = np.array([row.targets(list(settings.categories)) for row in part])
        counts = {
            category: {"positive": int((col == 1).sum()), "known": int((col != UNKNOWN).sum())}
            for category, col in zip(settings.categories, labels.T, strict=True)
            if (col != UNKNOWN).any()
        }
        origins = dict(sorted(Counter(row.origin for row in part).items()))
        sources[name] = {"rows": len(part), "origins": origins, **known.get(name, {}), "labels": counts}
    return {"rows": len(rows), "categories": list(settings.categories), "sources": sources}


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

#!/usr/bin/env python3
"""Measures what disguising texts does to their flags, and what undoing disguises costs.

    scripts/measure_obfuscation.py --binary target/release/moderato --input labelled.jsonl

The input is that of `moderato evaluate`: {"text": ..., "labels": {category: 1, 0 or null}} a line.
Of the texts that are flagged as they are, the first --count are rewritten by each disguise of
obfuscate.py; harmless are those without a label 1. Texts are never printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DISGUISES = [
    "zero-width", "homoglyphs", "leet", "spacing",
    "mask", "separator", "end-of-text", "brackets", "number-signs", "bars",
]

Row = dict[str, Any]


def main() -> int:
    arguments = parse_arguments()
    rows = [json.loads(line) for line in arguments.input.read_text().splitlines() if line.strip()]
    program = arguments.binary.resolve()
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer(program, arguments.model, Path(folder))
        plain, undone = scorer.score(rows, normalise=False), scorer.score(rows, normalise=True)
        harmless = [place for place, row in enumerate(rows) if 1 not in row["labels"].values()]
        print(f"| disguise | still flagged of {arguments.count} | without undoing it |")
        print("| --- | ---: | ---: |")
        flagged = [row for row, score in zip(rows, plain, strict=True) if score["flagged"]]
        for disguise in DISGUISES:
            disguised = disguise_all(flagged[: arguments.count], disguise, arguments.seed)
            shares = [share(scorer.score(disguised, normalise)) for normalise in (True, False)]
            print(f"| {disguise} | {shares[0]:.1%} | {shares[1]:.1%} |")
        before, after = (
            sum(scores[place]["flagged"] for place in harmless) for scores in (plain, undone)
        )
        rise = (after - before) / max(len(harmless), 1)
        print(f"\nharmless texts flagged: {before} -> {after} of {len(harmless)} ({rise:+.2%})")
        if arguments.rounds:
            longer = slowdown(scorer, rows, arguments)
            print(f"time, median of {arguments.rounds} rounds: {longer:+.1%}")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=9, help="of the time; 0 for none")
    return parser.parse_args()


class Scorer:
    """Runs `moderato score` on a file."""

    def __init__(self, program: Path, model: str, folder: Path) -> None:
        self.program, self.model, self.folder = program, model, folder

    def score(self, rows: list[Row], normalise: bool) -> list[Row]:
        """The rows with what the program adds to each."""
        source, target = self.folder / "in.jsonl", self.folder / "out.jsonl"
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = [self.program, "score", "--model", self.model]
        command += ["--input", source, "--output", target]
        subprocess.run([*command, "--normalise", str(normalise).lower()], check=True)
        return [json.loads(line) for line in target.read_text().splitlines()]


def disguise_all(rows: list[Row], disguise: str, seed: int) -> list[Row]:
    command = [sys.executable, HERE / "obfuscate.py", "--disguise", disguise, "--seed", str(seed)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    written = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in written.stdout.splitlines()]


def share(scores: list[Row]) -> float:
    return sum(score["flagged"] for score in scores) / len(scores)


def slowdown(scorer: Scorer, rows: list[Row], arguments: argparse.Namespace) -> float:
    """How much longer plain texts take when disguises are looked for; the order alternates."""
    plain = [row for row in rows if row["text"].isascii()]
    ratios = []
    for place in range(arguments.rounds):
        seconds = {}
        for normalise in (True, False) if place % 2 else (False, True):
            start = time.perf_counter()
            scorer.score(plain, normalise)
            seconds[normalise] = time.perf_counter() - start
        ratios.append(seconds[True] / seconds[False])
    return statistics.median(ratios) - 1


if __name__ == "__main__":
    sys.exit(main())

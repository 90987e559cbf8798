#!/usr/bin/env python3
"""Shows that `moderato score` and `moderato serve` give the same scores.

    scripts/compare_paths.py --binary target/release/moderato --texts dev.jsonl

Repeats and shuffles the texts of a file, scores them in bulk and one by one over many
connections, and prints a Markdown table of both. Ends with 1 when a score differs by more
than the tolerance or when anything fails. Texts are never printed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

Scores = dict[str, float]


@dataclass
class Memory:
    """What /proc said about one process while it worked."""

    peak_kib: int = 0
    series_kib: list[int] = field(default_factory=list)  # one a second, the last at the end

    def at(self, share: float) -> int:
        """The resident size after this share of the time."""
        last = len(self.series_kib) - 1
        return self.series_kib[round(share * last)] if last >= 0 else 0


@dataclass
class Measured:
    """One way through the binary: its scores in the order of the rows, and its cost."""

    seconds: float
    memory: Memory
    scores: list[Scores | None]
    errors: Counter[str]

    def speed(self) -> float:
        return len(self.scores) / self.seconds


@dataclass
class Difference:
    """The largest difference between the two ways and where it is."""

    size: float = 0.0
    place: str = "-"
    n_compared: int = 0


def main() -> int:
    """Runs both ways, prints the table, and returns the exit status."""
    options = parse_options()
    with tempfile.TemporaryDirectory(prefix="compare-paths-") as folder:
        rows = write_rows(options, Path(folder) / "rows.jsonl")
        print(f"scoring {len(rows)} rows in bulk", file=sys.stderr)
        bulk = score_in_bulk(options, Path(folder), len(rows))
        print(f"serving {len(rows)} rows over {options.connections} connections", file=sys.stderr)
        served = score_by_serving(options, Path(folder), rows)
    difference = largest_difference(bulk.scores, served.scores)
    print_table(options, bulk, served, difference)
    agree = difference.size <= options.tolerance and difference.n_compared == len(rows)
    return 0 if agree and not bulk.errors and not served.errors else 1


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Compares the scores, the speed and the memory of bulk and served scoring."
    )
    add = parser.add_argument
    add("--binary", type=Path, required=True, help="the moderato binary")
    add("--texts", type=Path, required=True, help="JSON Lines with a field `text`")
    add("--count", type=int, default=10_000, help="rows to score (default: %(default)s)")
    add("--connections", type=int, default=64, help="at the same time (default: %(default)s)")
    add("--seed", type=int, default=1, help="of the shuffle (default: %(default)s)")
    add("--tolerance", type=float, default=1e-5, help="of a score (default: %(default)s)")
    options = parser.parse_args()
    options.binary = options.binary.resolve(strict=True)
    if options.count < 1 or options.connections < 1:
        parser.error("--count and --connections have to be at least 1")
    return options


def write_rows(options: argparse.Namespace, path: Path) -> list[str]:
    """Writes the shuffled rows with ids of their own and returns their texts."""
    with options.texts.open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines if line.strip()]
    if not texts:
        sys.exit(f"{options.texts} has no rows")
    repeated: list[str] = (texts * math.ceil(options.count / len(texts)))[: options.count]
    random.Random(options.seed).shuffle(repeated)
    with path.open("w", encoding="utf-8") as rows:
        for index, text in enumerate(repeated):
            rows.write(json.dumps({"id": row_id(index), "text": text}) + "\n")
    return repeated


def row_id(index: int) -> str:
    return f"row-{index}"


# --- bulk -------------------------------------------------------------------------------


def score_in_bulk(options: argparse.Namespace, folder: Path, n_rows: int) -> Measured:
    """Runs `moderato score`; the time has the start of the process in it."""
    output = folder / "scored.jsonl"
    command = [options.binary, "score", "--input", folder / "rows.jsonl", "--output", output]
    errors: Counter[str] = Counter()
    with (folder / "score.log").open("wb") as log:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        with stopping(process), sampling(process.pid) as memory:
            status = process.wait()
        seconds = time.monotonic() - begin
    if status != 0:
        errors[f"score ended with {status}"] += 1
    return Measured(seconds, memory, read_scored(output, n_rows, errors), errors)


def read_scored(path: Path, n_rows: int, errors: Counter[str]) -> list[Scores | None]:
    """Reads the output of `score`; a missing, extra or displaced row is an error."""
    lines = path.read_text(encoding="utf-8").split("\n") if path.exists() else []
    rows = [line for line in lines if line]
    if len(rows) != n_rows:
        errors[f"score wrote {len(rows)} rows instead of {n_rows}"] += 1
    scores: list[Scores | None] = [None] * n_rows
    for index, line in enumerate(rows[:n_rows]):
        row = json.loads(line)
        if row.get("id") != row_id(index):
            errors["row out of order"] += 1
        elif "categories" not in row:
            errors[f"row without scores, {error_code(row)}"] += 1
        else:
            scores[index] = scores_of(row)
    return scores


# --- served -----------------------------------------------------------------------------


def score_by_serving(options: argparse.Namespace, folder: Path, texts: list[str]) -> Measured:
    """Starts the server, sends every text as a request of its own, and stops it."""
    command = [options.binary, "serve", "--listen", "127.0.0.1:0", "--log-format", "json"]
    log_path = folder / "serve.log"
    errors: Counter[str] = Counter()
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
        )
    with stopping(process):
        address = wait_until_ready(process, log_path)
        with sampling(process.pid) as memory:
            begin = time.monotonic()
            replies = asyncio.run(send_all(address, texts, options.connections, errors))
            seconds = time.monotonic() - begin
        end = stop(process)
    if end != "0":
        errors[f"serve ended with {end}"] += 1
    return Measured(seconds, memory, read_replies(replies, errors), errors)


def stop(process: subprocess.Popen[bytes]) -> str:
    """Asks the server to end and tells its exit status."""
    process.send_signal(signal.SIGTERM)
    try:
        return str(process.wait(timeout=STOP_SECONDS))
    except subprocess.TimeoutExpired:
        return f"nothing {STOP_SECONDS} s after SIGTERM"


def wait_until_ready(process: subprocess.Popen[bytes], log_path: Path) -> tuple[str, int]:
    """Learns the address from the log and waits for GET /health/ready to say 200."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"serve ended with {process.returncode} before it was ready")
        address = listening_address(log_path)
        if address and asyncio.run(ready(address)):
            return address
        time.sleep(0.1)
    sys.exit(f"serve is not ready after {READY_SECONDS} s")


def listening_address(log_path: Path) -> tuple[str, int] | None:
    whole_lines = log_path.read_text(encoding="utf-8").split("\n")[:-1]
    for line in whole_lines:
        if '"listening"' in line:
            host, _, port = json.loads(line)["address"].rpartition(":")
            return host, int(port)
    return None


async def ready(address: tuple[str, int]) -> bool:
    connection = Connection(address)
    try:
        status, _ = await asyncio.wait_for(connection.exchange("GET", "/health/ready", b""), 5)
    except FAILED_EXCHANGE:
        return False
    finally:
        connection.close()
    return status == 200


async def send_all(
    address: tuple[str, int], texts: list[str], n_connections: int, errors: Counter[str]
) -> list[bytes | None]:
    """Sends the texts, each connection taking the next; returns bodies in their order."""
    replies: list[bytes | None] = [None] * len(texts)
    upcoming = iter(enumerate(texts))

    async def work() -> None:
        connection = Connection(address)
        for index, text in upcoming:
            request = json.dumps({"input": text}).encode()
            try:
                status, body = await connection.exchange("POST", "/v1/score", request)
            except FAILED_EXCHANGE as error:
                connection.close()
                errors[f"connection: {type(error).__name__}"] += 1
                continue
            if status == 200:
                replies[index] = body
            else:
                errors[f"{status} {error_code(parsed(body))}"] += 1
        connection.close()

    await asyncio.gather(*(work() for _ in range(n_connections)))
    return replies


def read_replies(replies: list[bytes | None], errors: Counter[str]) -> list[Scores | None]:
    """Parses the bodies, after the clock has stopped."""
    scores: list[Scores | None] = []
    for body in replies:
        results = parsed(body).get("results", []) if body is not None else []
        scores.append(scores_of(results[0]) if len(results) == 1 else None)
        if body is not None and len(results) != 1:
            errors[f"reply with {len(results)} results"] += 1
    return scores


class Connection:
    """One keep-alive connection, opened at need, one request at a time.

    It reads just what moderato sends: HTTP/1.1 with a content-length.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Sends a request and returns status and body of its reply."""
        return await asyncio.wait_for(self._exchange(method, path, body), REPLY_SECONDS)

    async def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if self.streams is None:
            self.streams = await asyncio.open_connection(*self.address)
        reader, writer = self.streams
        head = f"{method} {path} HTTP/1.1\r\nhost: {self.address[0]}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        status_line, *header_lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in header_lines if line)
        answer = await reader.readexactly(int(headers.get(b"content-length", b"missing")))
        if headers.get(b"connection") == b"close":
            self.close()
        return int(status_line.split(b" ")[1]), answer

    def close(self) -> None:
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


# --- processes --------------------------------------------------------------------------


@contextmanager
def stopping(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Leaves no process behind, whatever happens."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def sampling(pid: int) -> Iterator[Memory]:
    """Samples the memory of a process until the block ends."""
    memory = Memory()
    done = threading.Event()
    thread = threading.Thread(target=sample, args=(pid, memory, done), daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        done.set()
        thread.join()


def sample(pid: int, memory: Memory, done: threading.Event) -> None:
    """Looks at the peak five times a second and keeps every fifth resident size.

    A process that ends takes its numbers with it, so the peak may lack the last 0.2 s.
    """
    latest, ticks, finished = 0, 0, False
    while not finished:
        finished = done.is_set()
        status = status_kib(pid)
        if status:
            memory.peak_kib = max(memory.peak_kib, status["VmHWM"])
            latest = status["VmRSS"]
            if ticks % 5 == 0:
                memory.series_kib.append(latest)
        ticks += 1
        if not finished:
            done.wait(0.2)
    memory.series_kib.append(latest)


def status_kib(pid: int) -> dict[str, int]:
    """VmHWM and VmRSS, or nothing when the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    fields = (line.split() for line in lines if line.startswith(("VmHWM:", "VmRSS:")))
    return {name.rstrip(":"): int(kib) for name, kib, _ in fields}


# --- scores -----------------------------------------------------------------------------


def scores_of(row: dict[str, Any]) -> Scores:
    return {id: decision["score"] for id, decision in row["categories"].items()}


def parsed(body: bytes) -> dict[str, Any]:
    """A JSON object, or an empty one: the body itself might repeat a text."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def error_code(row: dict[str, Any]) -> str:
    error = row.get("error")
    return str(error.get("code")) if isinstance(error, dict) else "no code"


def largest_difference(bulk: list[Scores | None], served: list[Scores | None]) -> Difference:
    """Compares every category of every row that both ways have answered."""
    difference = Difference()
    for index, (left, right) in enumerate(zip(bulk, served, strict=True)):
        if left is None or right is None:
            continue
        difference.n_compared += 1
        if left.keys() != right.keys() or not left:
            return Difference(math.inf, f"{row_id(index)}: other categories", 0)
        for id, score in left.items():
            size = abs(score - right[id])
            if math.isnan(size) or size > difference.size:
                difference.size = math.inf if math.isnan(size) else size
                difference.place = f"{row_id(index)}, {id}"
    return difference


# --- report -----------------------------------------------------------------------------


def print_table(
    options: argparse.Namespace, bulk: Measured, served: Measured, difference: Difference
) -> None:
    """Prints the table and, below it, the memory over time."""
    ways = [bulk, served]
    table = [
        ["", "score", f"serve, {options.connections} connections"],
        ["---", "---:", "---:"],
        ["rows", *(str(len(way.scores)) for way in ways)],
        ["seconds", *(f"{way.seconds:.2f}" for way in ways)],
        ["texts/s", *(f"{way.speed():.1f}" for way in ways)],
        ["peak RSS, MiB", *(mib(way.memory.peak_kib) for way in ways)],
    ]
    for share in (0.1, 0.5, 1.0):
        sizes = (mib(way.memory.at(share)) for way in ways)
        table.append([f"RSS at {share:.0%}, MiB", *sizes])
    table.append(["errors", *(str(sum(way.errors.values())) for way in ways)])
    for cells in table:
        print(f"| {' | '.join(cells)} |")
    print(f"\nLargest score difference: {difference.size:.2e} ({difference.place})")
    print(f"Tolerance: {options.tolerance:.0e}; rows compared: {difference.n_compared}")
    for name, way in zip(("score", "serve"), ways, strict=True):
        series = way.memory.series_kib
        step = math.ceil(len(series) / 30)
        print(f"RSS of {name} in MiB, every {step} s: {' '.join(map(mib, series[::step]))}")
        for error, n_times in sorted(way.errors.items()):
            print(f"Error of {name}: {n_times} x {error}")


def mib(kib: int) -> str:
    return f"{kib / 1024:.1f}"


READY_SECONDS = 30
STOP_SECONDS = 60
# Longer than any deadline of the server, so that its own refusals are what is counted.
REPLY_SECONDS = 300
FAILED_EXCHANGE = (OSError, EOFError, ValueError, asyncio.TimeoutError)

if __name__ == "__main__":
    sys.exit(main())

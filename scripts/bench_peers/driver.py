#!/usr/bin/env python3
"""Measures moderato and its peers in turns; run.sh starts it.

Each contestant is a process of its own that stays for a whole run. A round visits each of them
once for each workload, in an order that rotates, so that whatever else the machine does meets
all of them alike. A ratio is taken within a round; what is reported is the median of the rounds,
and of the runs if there are several. Texts are never printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import floor
import machine
import report
import workloads
from process import Contestant
from process import ProcessError
from process import Server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MODEL = ROOT / "models" / "moderato-small"
OUT = ROOT / "target" / "bench-peers"

PEERS = ["pytorch-eager", "pytorch-sdpa", "onnxruntime-f32", "onnxruntime-int8"]
OURS = ["moderato-f32", "moderato-int8"]
F32 = ["pytorch-eager", "pytorch-sdpa", "onnxruntime-f32", "moderato-f32"]
WORKLOADS = ["uniform", "serving", "bulk", "floor", "http"]

CONNECTIONS = 64
LOAD_OF_OPEN_LOOP = 0.7  # of what the server manages at most
LONE_TOKENS, LONE_REPEATS = 128, 30
ROUND_SECONDS = 0.4  # of one shape and contestant
FLOOR_SHAPE = "32x128"
VERIFIED_SHAPES = ["1x16", "8x512"]
TOLERANCE = 1e-3  # of a logit; exact arithmetic differs by its order only
SERVER_STARTS = 3


@dataclass
class Options:
    """The command line."""

    threads: int
    rounds: int
    runs: int
    texts: Path | None
    serving_texts: int  # in a round, from the next round on the next ones
    bulk_texts: int  # in every round
    http_texts: int  # in every round
    seed: int
    contestants: list[str]
    workloads: list[str]
    before: Path | None  # another work tree of moderato


@dataclass
class Binaries:
    """What cargo built of one work tree."""

    program: str
    worker: str


@dataclass
class Trees:
    """The binaries of this work tree, and of the one that it is compared with."""

    now: Binaries
    before: Binaries | None

    def of(self, name: str) -> Binaries:
        """Those of one of our contestants."""
        return self.before if name.endswith("-before") else self.now


@dataclass
class Run:
    """What one run gave: seconds of each round by workload and contestant, and much else."""

    seconds: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    tokens: dict[str, dict[str, list[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    load_seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)  # of logits, to the first
    rates: list[dict[str, float]] = field(default_factory=list)  # FLOP/s by product, a round each
    latencies: dict[str, dict[str, list[float]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(list))
    )
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    idle_cpu: float = 0.0  # share of one CPU that the waiting contestants took
    foreign_cpu: float = 0.0  # share of all CPUs that processes of others took


class Field:
    """The contestants of one run. Watches, while one is asked, what the others do.

    The matrix products have a process of their own, since their matrices are nobody's memory.
    """

    def __init__(self, contestants: dict[str, Contestant], products: Contestant | None) -> None:
        self.names = list(contestants)
        self.processes = contestants | ({"products": products} if products else {})
        self.servers: list[Server] = []
        self.wall = self.idle = self.foreign = 0.0

    def ask(self, name: str, do: str, **arguments: Any) -> dict[str, Any]:
        start, before, busy = time.perf_counter(), self._cpu_seconds(), machine.busy_seconds()
        own = time.process_time()
        answer = self.processes[name].ask(do, **arguments)
        after, busy = self._cpu_seconds(), machine.busy_seconds() - busy
        spent = {each: after[each] - before[each] for each in after}
        self.wall += time.perf_counter() - start
        # A server is no bystander: it is only started to be measured.
        self.idle += sum(spent[each] for each in self.processes if each != name)
        self.foreign += busy - sum(spent.values()) - (time.process_time() - own)
        return answer

    def _cpu_seconds(self) -> dict[str, float]:
        servers = {f"server {each.name}": each.cpu_seconds() for each in self.servers}
        return {name: each.cpu_seconds() for name, each in self.processes.items()} | servers

    def ours(self) -> list[str]:
        return [name for name in self.names if name.startswith("moderato-")]

    def rotated(self, place: int, names: list[str] | None = None) -> list[str]:
        names = self.names if names is None else names
        place %= max(len(names), 1)
        return names[place:] + names[:place]

    def stop(self) -> None:
        for process in [*self.processes.values(), *self.servers]:
            process.stop()


def main() -> int:
    """Builds, measures, writes the report; returns the exit status."""
    options = parse_options()
    OUT.mkdir(parents=True, exist_ok=True)
    trees = Trees(build(ROOT), build(options.before) if options.before else None)
    choice = prepare_onnx(options.threads)
    texts = workloads.load_texts(options.texts, options.seed, MODEL / "tokenizer.json")
    say(f"texts: {texts.described()}")
    try:
        runs = [
            measure(options, trees, texts, f"run {number} of {options.runs}")
            for number in range(1, options.runs + 1)
        ]
    except ProcessError as fault:
        say(str(fault))
        return 1
    results = {
        "machine": machine.described(options.threads),
        "options": {
            "threads": options.threads,
            "rounds": options.rounds,
            "runs": options.runs,
            "seed": options.seed,
            "texts": texts.described(),
            "serving_texts": options.serving_texts,
            "bulk_texts": options.bulk_texts,
            "http_texts": options.http_texts,
        },
        "moderato": commit(ROOT),
        "before": commit(options.before) if options.before else None,
        "onnx_graphs": choice,
        "sizes": asdict(floor.Sizes.of(json.loads((MODEL / "config.json").read_text()))),
        "floor_shape": FLOOR_SHAPE,
        "runs": [vars(run) for run in runs],
    }
    figures = report.figures(results)
    markdown = report.markdown(results, figures)
    (OUT / "report.json").write_text(json.dumps({**results, "figures": figures}, indent=1))
    (OUT / "report.md").write_text(markdown)
    print(markdown)
    say(f"written to {(OUT / 'report.md').relative_to(ROOT)} and report.json beside it")
    return 0


def parse_options() -> Options:
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__.partition("\n\n")[2])
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7, help="below 7, nothing to report")
    parser.add_argument("--runs", type=int, default=1, help="the whole so many times, from start")
    parser.add_argument("--texts", type=Path, help='JSON lines with a "text"; else made here')
    parser.add_argument("--serving-texts", type=int, default=128, help="a round, others each round")
    # Of few texts the sorted batches are padded far more than of many, to moderato's advantage.
    parser.add_argument("--bulk-texts", type=int, default=1024, help="a round, always the same")
    parser.add_argument("--http-texts", type=int, default=512, help="a round, always the same")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PEERS + OURS, default=PEERS + OURS)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument(
        "--before",
        type=Path,
        metavar="TREE",
        help="another work tree of moderato to compare this one with; it is built too",
    )
    parser.add_argument("--quick", action="store_true", help="two rounds of few texts")
    parsed = parser.parse_args()
    if parsed.quick:
        parsed.rounds = 2
        parsed.serving_texts, parsed.bulk_texts, parsed.http_texts = 32, 64, 128
    ours = [name for name in parsed.only if name in OURS]
    again = [f"{name}-{which}" for name in ours for which in ("before", "again")]
    return Options(
        threads=parsed.threads,
        rounds=parsed.rounds,
        runs=parsed.runs,
        texts=parsed.texts,
        serving_texts=parsed.serving_texts,
        bulk_texts=parsed.bulk_texts,
        http_texts=parsed.http_texts,
        seed=parsed.seed,
        contestants=parsed.only + (again if parsed.before else []),
        workloads=parsed.workloads,
        before=parsed.before,
    )


def build(tree: Path) -> Binaries:
    """The program as its users have it, and its worker, both with the release profile."""
    say(f"building moderato {commit(tree)}")
    program = cargo(tree, "build", "--release", "--bin", "moderato")
    worker = cargo(tree, "bench", "--no-run", "--bench", "peers")
    return Binaries(program["moderato"], worker["peers"])


def cargo(tree: Path, *arguments: str) -> dict[str, str]:
    """Paths of what was built, by name."""
    command = ["cargo", *arguments, "--locked", "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, text=True, check=True)
    messages = map(json.loads, built.stdout.splitlines())
    return {
        message["target"]["name"]: message["executable"]
        for message in messages
        if message["reason"] == "compiler-artifact" and message["executable"]
    }


def prepare_onnx(threads: int) -> dict[str, Any]:
    """The ONNX files; made anew when the weights, the packages, the machine or this changes."""
    script, folder = HERE / "onnx_models.py", OUT / "onnx"
    key = hashlib.sha256()
    for file in [script, HERE / "requirements.txt", MODEL / "model.safetensors"]:
        key.update(file.read_bytes())
    key.update(json.dumps(machine.described(threads)).encode())
    stamp, choice = folder / "stamp", folder / "choice.json"
    if not stamp.exists() or stamp.read_text() != key.hexdigest():
        say("exporting to ONNX, and choosing the faster graphs")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "log").open("w") as log:
            subprocess.run(
                [sys.executable, str(script), str(MODEL), str(folder), str(threads)],
                stdout=log,
                stderr=log,
                check=True,
            )
        stamp.write_text(key.hexdigest())
    return json.loads(choice.read_text())


def measure(
    options: Options,
    trees: Trees,
    texts: workloads.Texts,
    label: str,
) -> Run:
    """One run, from the start of the processes to their end."""
    run = Run()
    contestants = start(options, trees)
    products = None
    if "floor" in options.workloads and "moderato-f32" in contestants:
        products = Contestant("products", worker(options, trees, "moderato-f32"), {})
    contest = Field(contestants, products)
    try:
        run.load_seconds = {name: each.load_seconds for name, each in contestants.items()}
        repeats = warm_up(options, contest, run)
        for place in range(options.rounds):
            say(f"{label}, round {place + 1} of {options.rounds}")
            if "uniform" in options.workloads:
                measure_shapes(contest, repeats, place, run)
            if "serving" in options.workloads:
                n_texts = options.serving_texts
                measure_texts(contest, "serving", texts.slice(place * n_texts, n_texts), place, run)
            if "bulk" in options.workloads:
                measure_texts(contest, "bulk", texts.slice(0, options.bulk_texts), place, run)
            if products:
                measure_floor(contest, run)
        # Before HTTP, whose load generator lives in the process of the contestant.
        run.peak_bytes = {name: each.peak_bytes() for name, each in contestants.items()}
        if "http" in options.workloads and contest.ours():
            measure_http(options, trees, contest, texts, run, label)
        run.idle_cpu = contest.idle / contest.wall
        run.foreign_cpu = max(contest.foreign, 0) / contest.wall / (os.cpu_count() or 1)
    finally:
        contest.stop()
    return run


def start(options: Options, trees: Trees) -> dict[str, Contestant]:
    """One after the other, so that none disturbs the loading of another."""
    # The tokenizers of the peers have a pool of their own; libraries of theirs may have one too.
    n_threads = str(options.threads)
    environment = {
        "OMP_NUM_THREADS": n_threads,
        "RAYON_NUM_THREADS": n_threads,
        "TOKENIZERS_PARALLELISM": "true",
    }
    contestants: dict[str, Contestant] = {}
    for name in options.contestants:
        if name in PEERS:
            command = [sys.executable, str(HERE / "peers_worker.py"), name, str(MODEL)]
            command += [str(OUT / "onnx"), n_threads]
            contestants[name] = Contestant(name, command, environment)
        else:
            contestants[name] = Contestant(name, worker(options, trees, name), {})
    return contestants


def worker(options: Options, trees: Trees, name: str) -> list[str]:
    threads = ["--threads", str(options.threads)]
    return [trees.of(name).worker, "--dtype", dtype_of(name), *threads]


def dtype_of(name: str) -> str:
    """Of one of our contestants: moderato-f32, moderato-f32-before, ..."""
    return name.split("-")[1]


def is_exact(name: str) -> bool:
    return name in F32 or (name.startswith("moderato-") and dtype_of(name) == "f32")


def warm_up(options: Options, contest: Field, run: Run) -> dict[str, dict[str, int]]:
    """Hands out the work, checks the answers, and finds how often to repeat each shape."""
    repeats: dict[str, dict[str, int]] = defaultdict(dict)
    for shape in workloads.SHAPES:
        ids = workloads.token_ids(shape, options.seed)
        for name in contest.names:
            contest.ask(name, "load_ids", shape=shape, ids=ids)
            if "uniform" in options.workloads or shape == FLOOR_SHAPE:
                seconds = contest.ask(name, "uniform", shape=shape, repeats=2)["seconds"][-1]
                repeats[shape][name] = min(max(round(ROUND_SECONDS / seconds), 2), 200)
    verify(contest, run)
    return repeats


def verify(contest: Field, run: Run) -> None:
    """The same ids must give the same logits wherever the arithmetic is exact."""
    for shape in VERIFIED_SHAPES:
        expected = None
        for name in contest.names:
            logits = contest.ask(name, "logits", shape=shape)["logits"]
            expected = logits if expected is None else expected
            difference = max(
                abs(ours - theirs)
                for our_row, their_row in zip(logits, expected, strict=True)
                for ours, theirs in zip(our_row, their_row, strict=True)
            )
            run.differences[name] = max(run.differences.get(name, 0.0), difference)
    for name, difference in run.differences.items():
        if is_exact(name) and not difference <= TOLERANCE:  # NaN fails too
            first = contest.names[0]
            raise ProcessError(f"{name}: its logits differ by {difference:.2g} from {first}'s")
    exact = [difference for name, difference in run.differences.items() if is_exact(name)]
    say(f"logits agree: the largest difference in f32 is {max(exact, default=0):.1e}")


def measure_shapes(
    contest: Field, repeats: dict[str, dict[str, int]], place: int, run: Run
) -> None:
    for shape in workloads.SHAPES:
        for name in contest.rotated(place):
            answer = contest.ask(name, "uniform", shape=shape, repeats=repeats[shape][name])
            run.seconds[shape][name].append(statistics.median(answer["seconds"]))
            n_windows, n_tokens = workloads.shape_of(shape)
            run.tokens[shape][name].append(n_windows * n_tokens)


def measure_texts(
    contest: Field, workload: str, texts: list[str], place: int, run: Run
) -> None:
    for name in contest.rotated(place):
        contest.ask(name, "load_texts", texts=texts)
        answer = contest.ask(name, workload)
        run.seconds[workload][name].append(answer["seconds"])
        run.tokens[workload][name].append(answer["n_tokens"])


def measure_floor(contest: Field, run: Run) -> None:
    """The products and, right before and after them, the forward pass they bound."""
    sizes = floor.Sizes.of(json.loads((MODEL / "config.json").read_text()))
    n_windows, n_tokens = workloads.shape_of(FLOOR_SHAPE)
    names = list(sizes.products())

    def forward() -> list[float]:
        return contest.ask("moderato-f32", "uniform", shape=FLOOR_SHAPE, repeats=2)["seconds"]

    seconds = forward()
    products = contest.ask(
        "products",
        "products",
        rows=n_windows * n_tokens,
        shapes=[sizes.products()[name] for name in names],
    )["products"]
    seconds += forward()
    run.seconds["floor"]["moderato-f32"].append(statistics.median(seconds))
    run.rates.append(
        {name: product["flops"] for name, product in zip(names, products, strict=True)}
    )


def measure_http(
    options: Options,
    trees: Trees,
    contest: Field,
    texts: workloads.Texts,
    run: Run,
    label: str,
) -> None:
    """The server's throughput next to the engine's own, then its latency at a steady load."""
    requests = texts.slice(0, options.http_texts)
    lone_text = workloads.text_of(LONE_TOKENS, MODEL / "tokenizer.json")
    for name in contest.ours():
        contest.ask(name, "load_texts", texts=requests)
        server = start_server(options, trees, name, run)
        contest.servers = [server]
        lone = {"port": server.port, "text": lone_text, "repeats": LONE_REPEATS}
        answer = contest.ask(name, "http_closed", port=server.port, connections=1)
        run.latencies["unloaded"][name] = answer["latencies"]
        for place in range(options.rounds):
            say(f"{label}, HTTP with {name}, round {place + 1} of {options.rounds}")
            for way in contest.rotated(place, ["concurrent", "http_closed"]):
                arguments = {"port": server.port} if way == "http_closed" else {}
                answer = contest.ask(name, way, connections=CONNECTIONS, **arguments)
                run.seconds[way][name].append(answer["seconds"])
            latencies = contest.ask(name, "http_alone", **lone)["latencies"]
            run.latencies["alone"][name] += latencies
            fullest = len(requests) / statistics.median(run.seconds["http_closed"][name])
            answer = contest.ask(
                name,
                "http_open",
                port=server.port,
                connections=CONNECTIONS,
                per_second=LOAD_OF_OPEN_LOOP * fullest,
                seed=options.seed + place,
            )
            run.latencies["open"][name] += answer["latencies"]
        run.servers[name]["peak_bytes"] = server.peak_bytes()
        contest.servers = []
        server.stop()


def start_server(options: Options, trees: Trees, name: str, run: Run) -> Server:
    """A server that has been started several times, to know how long it takes."""
    command = [trees.of(name).program, "--threads", str(options.threads)]
    dtype = dtype_of(name)
    if dtype != "f32":
        command += ["--dtype", dtype]
    ready = []
    for _ in range(SERVER_STARTS - 1):
        server = Server(name, command)
        ready.append(server.ready_seconds)
        server.stop()
    server = Server(name, command)
    ready.append(server.ready_seconds)
    run.servers[name] = {"ready_seconds": statistics.median(ready)}
    return server


def commit(tree: Path) -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=tree,
        capture_output=True,
        text=True,
    )
    return described.stdout.strip()


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

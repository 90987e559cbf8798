"""Mode `soak`: 70 % load of mixed clients, while models, policies and keys change."""

from __future__ import annotations

import asyncio
import bisect
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import load
from changes import Operator
from changes import Window
from connection import Connections
from keys import Keys
from load import Client
from load import Outcome
from load import Pace
from models import make_faulty_models
from models import make_models
from models import policies
from models import put
from process import Server
from questions import Question
from questions import mixed
from reference import Pair
from reference import Reference
from reference import count_tokens
from report import Report
from report import percentile
from served import Log
from served import Watch
from served import admin_port
from served import logged
from served import started
from setting import Setting

SHARE_OF_MOST = 0.7
CLOSED_CLIENTS = 32
N_KEYS = 4
MOST_CONNECTIONS = 1024
FIRST_CHANGES = 3  # before memory is watched: they take what every later one needs too
REST_SECONDS = 3.0
LARGEST_GROWTH = 1.1  # of the memory, from the first third to the last
MORE_FILES = 2  # than before the load, once all clients are gone
SLOWER = 2.0  # p99 of requests that overlap an exchange, times that without one
CHANGES_A_MINUTE = 10.0


@dataclass
class Known:
    """Models and policies by their names in answers, and what is asked."""

    models: dict[str, Path]
    policies: dict[str, str]
    faulty: list[Path]
    questions: list[Question]


@dataclass
class Soak:
    """All who take part."""

    server: Server
    client: Client
    operator: Operator
    keys: Keys
    watch: Watch
    reference: Reference


async def run(setting: Setting, minutes: float, change_seconds: float, work: Path) -> Report:
    reference = Reference(setting.tolerance)
    known = learn(setting, reference, work)
    keys = Keys(setting.binary, work / "keys.txt")
    keys.begin(N_KEYS)
    policy_file = work / "policy.toml"
    put(policy_file, next(iter(known.policies.values())))
    options = [*setting.serve_options, "--admin-listen", "127.0.0.1:0", *setting.audit(work)]
    options += ["--policy", str(policy_file), "--api-keys-file", str(keys.file)]
    server = started(setting.binary, options)
    try:
        soak = gather(setting, known, server, keys, policy_file, reference)
        report = Report("soak", setting.described() | {"minutes": minutes})
        sustainable = await find_sustainable(setting, soak)
        tell_sustainable(report, sustainable)
        await drive(soak, SHARE_OF_MOST * sustainable.requests, minutes, change_seconds, report)
        return report
    finally:
        server.stop()


def learn(setting: Setting, reference: Reference, work: Path) -> Known:
    """Has every model and policy answer every question."""
    questions = mixed(random.Random(setting.seed))
    known = Known({}, {}, make_faulty_models(setting.model, work), questions)
    folders, texts = make_models(setting.model, work), policies(setting.model)
    for folder in folders:
        for text in texts:
            file = work / "reference-policy.toml"
            put(file, text)
            options = ["--model", str(folder), "--policy", str(file), *setting.options]
            pair = reference.learn([setting.binary, *options], questions, work)
            known.models[pair.model], known.policies[pair.policy] = folder, text
    if (len(known.models), len(known.policies)) != (len(folders), len(texts)):
        raise RuntimeError("models and policies must differ in their names")
    count_tokens([setting.binary, *setting.options], questions, work)
    return known


def gather(
    setting: Setting,
    known: Known,
    server: Server,
    keys: Keys,
    policy_file: Path,
    reference: Reference,
) -> Soak:
    chance = random.Random(setting.seed + 1)
    operator = Operator(
        server=server,
        admin_port=admin_port(server),
        key=keys.operator.secret,
        log=Log(server),
        models=known.models,
        faulty=known.faulty,
        policies=known.policies,
        policy_file=policy_file,
        # What is embedded has the weights of the first folder, and so its name.
        serving=Pair(next(iter(known.models)), next(iter(known.policies))),
        chance=chance,
    )

    def judge(place: int, body: bytes, sent: float, ended: float) -> str | None:
        return reference.judge(place, body, operator.allowed(sent, ended))

    connections = Connections(server.port, MOST_CONNECTIONS)
    client = Client(connections, known.questions, judge, lambda: keys.pick(chance), chance)
    return Soak(server, client, operator, keys, Watch(server.child.pid), reference)


async def find_sustainable(setting: Setting, soak: Soak) -> Pace:
    """The most there is, and a server that has seen everything once."""
    sustainable = await load.most(soak.client, CLOSED_CLIENTS, setting.probe_seconds)
    for _ in range(FIRST_CHANGES):
        await soak.operator.load()
    soak.operator.windows.clear()
    soak.operator.counts.clear()
    soak.client.connections.close()
    await asyncio.sleep(REST_SECONDS)
    return sustainable


async def drive(
    soak: Soak, rate: float, minutes: float, change_seconds: float, report: Report
) -> None:
    client, operator, keys, watch = soak.client, soak.operator, soak.keys, soak.watch
    n_files = Watch(watch.pid).look().n_files
    n_before = len(client.outcomes)
    client.aborts = True
    cpu = load.Cpu(soak.server.cpu_seconds)
    end = asyncio.Event()
    others = [
        asyncio.create_task(watch.run(end)),
        asyncio.create_task(operator.keep_changing(change_seconds, end)),
        asyncio.create_task(keys.keep_rotating(soak.server.port, end)),
    ]
    began = time.monotonic()
    await client.open_loop(rate, minutes * 60)
    took = time.monotonic() - began
    clients_cpu, server_cpu = cpu.shares()
    end.set()
    await asyncio.gather(*others)
    client.connections.close()
    await asyncio.sleep(REST_SECONDS)
    n_files_after = Watch(watch.pid).look().n_files

    outcomes = client.outcomes[n_before:]
    report.tell("offered, requests/s", rate)
    report.tell("CPUs that the clients took", clients_cpu)
    report.tell("CPUs that the server took", server_cpu)
    tell_ends(report, client)
    reference = soak.reference
    report.at_most(
        "largest difference of a score", reference.largest_difference, reference.tolerance
    )
    tell_changes(report, operator, keys, took / 60)
    tell_latency(report, outcomes, operator.windows)
    tell_memory(report, watch)
    report.at_most("files open after the load", n_files_after, n_files + MORE_FILES)
    report.notes += [*client.most_noted(), *operator.faults, *keys.faults]
    report.notes += [f"logged: {line}" for line in sorted(set(logged(soak.server, "ERROR")))]


def tell_sustainable(report: Report, sustainable: Pace) -> None:
    report.tell("sustainable, requests/s", sustainable.requests)
    report.tell("sustainable, texts/s", sustainable.texts)
    report.tell("sustainable, tokens/s", sustainable.tokens)


def tell_ends(report: Report, client: Client) -> None:
    """Every request that was sent whole was answered, and rightly."""
    ends = client.ends()
    for end in (load.ANSWERED, load.ABORTED, load.OVERLOADED):
        report.tell(f"requests {end}", ends[end])
    for end in (load.LOST, load.WRONG, load.REFUSED, load.UNSENT):
        report.at_most(f"requests {end}", ends[end], 0)


def tell_changes(report: Report, operator: Operator, keys: Keys, minutes: float) -> None:
    counts = operator.counts
    n_exchanges = counts["load"] + counts["rollback"] + counts["reload"]
    report.at_least("models exchanged", n_exchanges, int(CHANGES_A_MINUTE * minutes))
    for what, count in sorted(counts.items()):
        windows = [window for window in operator.windows if window.what == what]
        seconds = [window.last - window.first for window in windows]
        report.tell(
            f"{what}: times, seconds (median, longest)",
            f"{count}, {percentile(seconds, 50):.2f}, {max(seconds):.2f}",
        )
    report.at_most("changes gone wrong", len(operator.faults), 0)
    report.tell("keys rotated", keys.n_rotated)
    report.at_most("rotations gone wrong", len(keys.faults), 0)


def tell_latency(report: Report, outcomes: list[Outcome], windows: list[Window]) -> None:
    """Of requests that overlap an exchange, of those that overlap no change at all, and of those
    among the latter that overlap a span of time as long as an exchange, half-way to the next change.

    A request is the likelier to overlap anything the longer it takes, so whatever makes some of them
    slow makes those that overlap an exchange slower than the rest. The last kind has the same bias.
    """
    changes = Spans([(window.first, window.last) for window in windows])
    exchanges = Spans(
        [(it.first, it.last) for it in windows if not it.what.startswith("faulty")]
    )
    controls = Spans(list(half_way(windows)))
    during: list[float] = []
    without: list[float] = []
    alike: list[float] = []
    for outcome in outcomes:
        if outcome.end != load.ANSWERED:
            continue
        millis = outcome.seconds() * 1e3
        if exchanges.overlap(outcome):
            during.append(millis)
        elif not changes.overlap(outcome):
            without.append(millis)
            if controls.overlap(outcome):
                alike.append(millis)
    for name, values in (
        ("without a change", without),
        ("in as long a time without a change", alike),
        ("during an exchange", during),
    ):
        shown = ", ".join(f"{percentile(values, percent):.1f}" for percent in (50, 90, 99, 99.9))
        report.tell(f"ms {name}: p50, p90, p99, p99.9 of {len(values)}", shown)
    p99 = percentile(during, 99)
    report.at_most(
        "p99 during an exchange, times that without", p99 / percentile(without, 99), SLOWER
    )
    report.tell(
        "p99 during an exchange, times that in as long a time without", p99 / percentile(alike, 99)
    )


class Spans:
    """Spans of time that follow one another."""

    def __init__(self, spans: list[tuple[float, float]]) -> None:
        self.spans = spans
        self.begins = [first for first, _ in spans]

    def overlap(self, outcome: Outcome) -> bool:
        """Whether the request was under way in one of them."""
        last = bisect.bisect_right(self.begins, outcome.ended) - 1
        return last >= 0 and self.spans[last][1] >= outcome.due


def half_way(windows: list[Window]) -> Iterator[tuple[float, float]]:
    """For each exchange, as long a span in the middle of the time to the next change."""
    for window, after in pairwise(windows):
        length = window.last - window.first
        middle = (window.last + after.first) / 2
        if not window.what.startswith("faulty") and middle + length < after.first:
            yield middle, middle + length


def tell_memory(report: Report, watch: Watch) -> None:
    first, last = watch.thirds()
    for name, value in (
        ("resident MB", lambda sample: sample.resident_mb),
        ("threads", lambda sample: sample.n_threads),
        ("files open", lambda sample: sample.n_files),
    ):
        means = [sum(map(value, part)) / len(part) for part in (first, last)]
        report.tell(f"{name}, first third", means[0])
        if name == "resident MB":
            report.at_most(f"{name}, last third", means[1], LARGEST_GROWTH * means[0])
        else:
            report.tell(f"{name}, last third", means[1])
    report.tell("resident MB, most", max(sample.resident_mb for sample in watch.samples))

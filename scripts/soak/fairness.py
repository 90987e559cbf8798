"""Mode `fairness`: eight polite clients, alone and beside one that asks for all it can get."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import load
from connection import Connections
from keys import Keys
from load import Client
from load import Outcome
from questions import Question
from questions import of_size
from reference import Pair
from reference import Reference
from report import Report
from report import percentile
from served import started
from setting import Setting

POLITE_CLIENTS = 8
POLITE_RATE = 2.0  # requests a second, each
ABUSIVE_CONNECTIONS = 64
ABUSIVE_TEXTS = 32  # a request
SETTLE_SECONDS = 2.0
SLOWER = 3.0
LOWEST_PRIORITY = 19


async def run(setting: Setting, minutes: float, work: Path) -> Report:
    """Half of the time alone, half of it beside the other."""
    chance = random.Random(setting.seed)
    questions = of_size(chance, 1, 200)
    batches = of_size(chance, ABUSIVE_TEXTS)
    reference = Reference(setting.tolerance)
    pair = reference.learn([setting.binary, *setting.options], questions + batches, work)
    keys = Keys(setting.binary, work / "keys.txt")
    keys.begin(POLITE_CLIENTS + 1)
    server = started(setting.binary, [*setting.serve_options, "--api-keys-file", str(keys.file)])

    def client(key: int) -> Client:
        return Client(
            Connections(server.port, ABUSIVE_CONNECTIONS),
            questions,
            lambda place, body, sent, ended: reference.judge(place, body, [pair]),
            lambda: keys.used[key].secret,
            random.Random(setting.seed + key),
        )

    try:
        polite = [client(key) for key in range(POLITE_CLIENTS)]
        seconds = minutes * 30
        alone = await ask_politely(polite, seconds)
        abuse = Abuse(server.port, keys.used[-1].secret, batches, len(questions), reference, pair)
        with under_way(abuse) as abusive:
            await asyncio.sleep(SETTLE_SECONDS)
            beside = await ask_politely(polite, seconds)
        report = Report("fairness", setting.described() | {"minutes": minutes})
        tell(report, polite, abusive, alone, beside)
        return report
    finally:
        server.stop()


@dataclass
class Abuse:
    """One key that asks for all it can get, at whatever cost."""

    port: int
    secret: str
    batches: list[Question]
    offset: int  # of their answers in the reference
    reference: Reference
    pair: Pair

    def run(self, seed: int, end: Event, told: Any) -> None:
        """In a process of its own, so that the polite ones do not wait for its client."""
        os.nice(LOWEST_PRIORITY)  # nor the server: it stands for another machine
        client = Client(
            Connections(self.port, ABUSIVE_CONNECTIONS),
            self.batches,
            lambda place, body, sent, ended: self.reference.judge(
                place + self.offset, body, [self.pair]
            ),
            lambda: self.secret,
            random.Random(seed),
        )
        asyncio.run(client.closed_loop(ABUSIVE_CONNECTIONS, end.is_set))
        told.send((client.ends(), client.most_noted()))


@dataclass
class Abusive:
    """What became of its requests."""

    ends: Counter[str]
    notes: list[str]


@contextlib.contextmanager
def under_way(abuse: Abuse) -> Iterator[Abusive]:
    """Abuses until the block ends; then its figures are known."""
    context = multiprocessing.get_context("spawn")
    end, (told, tell_it) = context.Event(), context.Pipe(duplex=False)
    process = context.Process(target=abuse.run, args=(POLITE_CLIENTS, end, tell_it), daemon=True)
    process.start()
    abusive = Abusive(Counter(), [])
    yield abusive
    end.set()
    if not told.poll(load.ANSWER_SECONDS):
        raise RuntimeError("the abusive client does not end")
    abusive.ends, abusive.notes = told.recv()
    process.join()


async def ask_politely(clients: list[Client], seconds: float) -> list[Outcome]:
    before = [len(client.outcomes) for client in clients]
    await asyncio.gather(*(client.open_loop(POLITE_RATE, seconds) for client in clients))
    pairs = zip(clients, before, strict=True)
    return [outcome for client, first in pairs for outcome in client.outcomes[first:]]


def tell(
    report: Report,
    polite: list[Client],
    abusive: Abusive,
    alone: list[Outcome],
    beside: list[Outcome],
) -> None:
    for name, outcomes in (("alone", alone), ("beside the other", beside)):
        report.tell(
            f"polite {name}: ms, p50, p90, p99 of {len(outcomes)}",
            ", ".join(f"{percentile(millis(outcomes), percent):.1f}" for percent in (50, 90, 99)),
        )
    ratio = percentile(millis(beside), 99) / percentile(millis(alone), 99)
    report.at_most("polite p99 beside the other, times that alone", ratio, SLOWER)
    unanswered = sum(outcome.end != load.ANSWERED for outcome in alone + beside)
    report.at_most("polite requests not answered", unanswered, 0)
    for end, count in sorted(abusive.ends.items()):
        report.tell(f"abusive requests {end}", count)
    bad = abusive.ends[load.LOST] + abusive.ends[load.WRONG]
    report.at_most("abusive requests lost or wrong", bad, 0)
    for client in polite:
        report.notes += client.most_noted()
    report.notes += abusive.notes


def millis(outcomes: list[Outcome]) -> list[float]:
    """One that was not answered took for ever."""
    return [
        outcome.seconds() * 1e3 if outcome.end == load.ANSWERED else float("inf")
        for outcome in outcomes
    ]


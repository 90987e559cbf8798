"""Mode `fairness`: eight polite clients, alone and beside one that asks for all it can get."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import load
from connection import Connections
from keys import Keys
from load import Client
from load import Outcome
from questions import of_size
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

    def client(key: int, asked: list, offset: int) -> Client:
        return Client(
            Connections(server.port, ABUSIVE_CONNECTIONS),
            asked,
            lambda place, body, sent, ended: reference.judge(place + offset, body, [pair]),
            lambda: keys.used[key].secret,
            random.Random(setting.seed + key),
        )

    try:
        polite = [client(key, questions, 0) for key in range(POLITE_CLIENTS)]
        abusive = client(POLITE_CLIENTS, batches, len(questions))
        seconds = minutes * 30
        alone = await ask_politely(polite, seconds)
        end = asyncio.Event()
        abusing = asyncio.create_task(abusive.closed_loop(ABUSIVE_CONNECTIONS, end.is_set))
        await asyncio.sleep(SETTLE_SECONDS)
        beside = await ask_politely(polite, seconds)
        end.set()
        await abusing
        report = Report("fairness", setting.described() | {"minutes": minutes})
        tell(report, polite, abusive, alone, beside)
        return report
    finally:
        server.stop()


async def ask_politely(clients: list[Client], seconds: float) -> list[Outcome]:
    before = [len(client.outcomes) for client in clients]
    await asyncio.gather(*(client.open_loop(POLITE_RATE, seconds) for client in clients))
    pairs = zip(clients, before, strict=True)
    return [outcome for client, first in pairs for outcome in client.outcomes[first:]]


def tell(
    report: Report,
    polite: list[Client],
    abusive: Client,
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
    for end, count in sorted(abusive.ends().items()):
        report.tell(f"abusive requests {end}", count)
    report.at_most("abusive requests lost or wrong", bad(abusive), 0)
    for client in (*polite, abusive):
        report.notes += client.most_noted()


def millis(outcomes: list[Outcome]) -> list[float]:
    """One that was not answered took for ever."""
    return [
        outcome.seconds() * 1e3 if outcome.end == load.ANSWERED else float("inf")
        for outcome in outcomes
    ]


def bad(client: Client) -> int:
    ends = client.ends()
    return ends[load.LOST] + ends[load.WRONG]

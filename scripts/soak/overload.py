"""Mode `overload`: three times what the server can do, and how it comes back from it."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import load
from connection import Connection
from connection import Connections
from connection import Lost
from connection import Unsent
from connection import get
from load import Client
from questions import mixed
from reference import Pair
from reference import Reference
from reference import count_tokens
from report import Report
from report import percentile
from served import Watch
from served import started
from setting import Setting

TIMES = 3.0
CLOSED_CLIENTS = 64
MOST_CONNECTIONS = 8192
LEAST_GOODPUT = 0.9  # of the most that it did before
DEADLINE_MS = 10_000  # the server's own
MOST_RESIDENT_MB = 1000.0
HEALTH_SECONDS = 0.25
PROBE_SHARE = 0.1  # of the most: a load that queues for nothing
PROBE_SECONDS = 10.0
BACK_SECONDS = 2.0
NORMAL = 2.0  # times the p99 of the probes before the load


async def run(setting: Setting, minutes: float, work: Path) -> Report:
    chance = random.Random(setting.seed)
    questions = mixed(chance)
    count_tokens([setting.binary, *setting.options], questions, work)
    reference = Reference(setting.tolerance)
    pair = reference.learn([setting.binary, *setting.options], questions, work)
    server = started(setting.binary, setting.serve_options)
    try:
        client = Client(
            Connections(server.port, MOST_CONNECTIONS),
            questions,
            lambda place, body, sent, ended: reference.judge(place, body, [pair]),
            lambda: None,
            chance,
        )
        report = Report("overload", setting.described() | {"minutes": minutes})
        await drive(setting, server, client, minutes * 60, report)
        return report
    finally:
        server.stop()


async def drive(setting, server, client: Client, seconds: float, report: Report) -> None:
    loop = asyncio.get_running_loop()
    most = await load.most(client, CLOSED_CLIENTS, setting.probe_seconds)
    probes = await phase(client, PROBE_SHARE * most.requests, PROBE_SECONDS)
    normal_ms = NORMAL * percentile([each.seconds() * 1e3 for each in probes], 99)

    watch, health, end = Watch(server.child.pid), Health(server.port), asyncio.Event()
    resident_before = watch.look().resident_mb
    others = [asyncio.create_task(watch.run(end)), asyncio.create_task(health.run(end))]
    cpu = load.Cpu(server.cpu_seconds)
    begin, n_before = loop.time(), len(client.outcomes)
    storm = asyncio.create_task(client.open_loop(TIMES * most.requests, seconds))
    await asyncio.sleep(seconds)
    clients_cpu, server_cpu = cpu.shares()
    over = loop.time()
    # Those that still wait go on waiting, while a little load comes in.
    n_after = len(client.outcomes)
    probing = asyncio.create_task(client.open_loop(PROBE_SHARE * most.requests, PROBE_SECONDS))
    await asyncio.gather(storm, probing)
    end.set()
    await asyncio.gather(*others)

    outcomes = client.outcomes[n_before:]
    stormy = [each for each in outcomes if each.due < over]
    warm = begin + load.WARM_UP_SECONDS
    good = [each for each in outcomes if each.end == load.ANSWERED and warm <= each.ended < over]
    goodput = load.pace(client, good, over - warm)
    report.tell("most, requests/s", most.requests)
    report.tell("most, tokens/s", most.tokens)
    report.tell("offered, requests/s", len(stormy) / seconds)
    report.tell("goodput, requests/s", goodput.requests)
    report.at_least("goodput, tokens/s", goodput.tokens, LEAST_GOODPUT * most.tokens)
    report.tell("CPUs that the clients took", clients_cpu)
    report.tell("CPUs that the server took", server_cpu)
    ends = client.ends()
    for what in (load.ANSWERED, load.OVERLOADED):
        report.tell(f"requests {what}", ends[what])
    for what in (load.LOST, load.WRONG, load.REFUSED, load.UNSENT):
        report.at_most(f"requests {what}", ends[what], 0)
    for what, most_ms in ((load.ANSWERED, DEADLINE_MS), (load.OVERLOADED, None)):
        values = [each.seconds() * 1e3 for each in stormy if each.end == what]
        report.tell(f"ms until {what}, p50", percentile(values, 50))
        if most_ms:
            report.at_most(f"ms until {what}, p99", percentile(values, 99), most_ms)
        else:
            report.tell(f"ms until {what}, p99", percentile(values, 99))
    report.at_most("looks at readiness that did not see 200", health.n_faulty, 0)
    report.tell("looks at readiness, longest ms", health.longest * 1e3)
    report.tell("resident MB before", resident_before)
    report.at_most("resident MB, most", max(s.resident_mb for s in watch.samples), MOST_RESIDENT_MB)
    late = [
        each.due - over
        for each in client.outcomes[n_after:]
        if each.due >= over and (each.end != load.ANSWERED or each.seconds() * 1e3 > normal_ms)
    ]
    report.tell("a normal latency, ms", normal_ms)
    report.at_most("seconds until all latencies are normal", max(late, default=0.0), BACK_SECONDS)
    report.notes += client.most_noted()


async def phase(client: Client, rate: float, seconds: float) -> list[load.Outcome]:
    n_before = len(client.outcomes)
    await client.open_loop(rate, seconds)
    return [each for each in client.outcomes[n_before:] if each.end == load.ANSWERED]


class Health:
    """Asks again and again whether the server is ready."""

    def __init__(self, port: int) -> None:
        self.port, self.n_faulty, self.longest = port, 0, 0.0

    async def run(self, end: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not end.is_set():
            begin = loop.time()
            try:
                connection = await Connection.open(self.port)
                answer = await connection.ask(get("/health/ready"), seconds=5)
                connection.close()
                self.n_faulty += answer.status != 200
            except (Lost, Unsent):
                self.n_faulty += 1
            self.longest = max(self.longest, loop.time() - begin)
            await asyncio.sleep(HEALTH_SECONDS)

"""Mode `terminate`: SIGTERM under load, again and again; no accepted request may be lost.

Accepted is a request whose last byte went out on a connection that the server had taken from its
backlog. A connection that is refused, that ends before the last byte went, or that is reset while
it waits in the backlog was not accepted: told, and not the server's fault. A 503 of a full queue is
an answer, and told too.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path

import load
from connection import Connections
from load import Client
from questions import mixed
from reference import Reference
from report import Report
from report import percentile
from served import started
from setting import Setting

CLIENTS = 48
SHARE_FRESH = 0.4
WARM_SECONDS = (0.5, 1.5)
END_SECONDS = 40.0
MOST_CONNECTIONS = 256


async def run(setting: Setting, times: int, work: Path) -> Report:
    chance = random.Random(setting.seed)
    questions = mixed(chance)
    reference = Reference(setting.tolerance)
    pair = reference.learn([setting.binary, *setting.options], questions, work)
    ends: Counter[str] = Counter()
    codes: Counter[int] = Counter()
    report = Report("terminate", setting.described() | {"times": times})
    seconds = []
    n_after = 0
    for _ in range(times):
        server = started(setting.binary, setting.serve_options)
        client = Client(
            Connections(server.port, MOST_CONNECTIONS),
            questions,
            lambda place, body, sent, ended: reference.judge(place, body, [pair]),
            lambda: None,
            chance,
            share_fresh=SHARE_FRESH,
        )
        try:
            asking = asyncio.create_task(client.closed_loop(CLIENTS, until_refused(client)))
            await asyncio.sleep(chance.uniform(*WARM_SECONDS))
            loop = asyncio.get_running_loop()
            begin = loop.time()
            server.child.send_signal(signal.SIGTERM)
            codes[await asyncio.to_thread(code_of, server.child)] += 1
            seconds.append(loop.time() - begin)
            await asyncio.wait_for(asking, END_SECONDS)
            n_after += sum(each.ended >= begin and each.end == load.ANSWERED
                           for each in client.outcomes)
        finally:
            server.stop()
        client.connections.close()
        ends += client.ends()
        report.notes += client.most_noted()
    report.tell("requests answered", ends[load.ANSWERED])
    report.tell("of them after the signal", n_after)
    report.tell("requests not accepted", ends[load.UNSENT])
    report.tell("requests refused by a full queue", ends[load.OVERLOADED])
    for end in (load.LOST, load.WRONG, load.REFUSED):
        report.at_most(f"requests {end}", ends[end], 0)
    report.at_most("servers that ended otherwise than with 0", times - codes[0], 0)
    report.tell("seconds from the signal to the end, median", percentile(seconds, 50))
    report.tell("seconds from the signal to the end, longest", max(seconds))
    return report


def until_refused(client: Client):
    """A client gives up when it is not let in any more."""
    return lambda: any(outcome.end == load.UNSENT for outcome in client.outcomes[-CLIENTS:])


def code_of(child: subprocess.Popen[str]) -> int:
    try:
        return child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        return -1

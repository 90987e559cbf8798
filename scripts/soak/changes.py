"""What an operator changes under load: models and policies, also such that must be refused."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from collections import Counter
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from connection import Answer
from connection import Connection
from connection import get
from connection import post
from models import put
from process import Process
from reference import Pair
from served import Log

LOAD_SECONDS = 60.0
# Of the changes: the rest loads another model.
SHARE_FAULTY, SHARE_ROLLBACK, SHARE_RELOAD, SHARE_FAULTY_POLICY = 0.08, 0.08, 0.1, 0.04
DONE, FAILED = "swapped the model", "the new model does not serve"


@dataclass
class Span:
    """From when on a pair may serve, and until when."""

    pair: Pair
    first: float
    last: float = float("inf")


@dataclass
class Window:
    """A change: from the call to its answer."""

    what: str
    first: float
    last: float
    cpu_seconds: float  # of the whole server meanwhile


@dataclass
class Operator:
    """Changes things one after the other, and knows what may serve at any time."""

    server: Process
    admin_port: int
    key: str  # of the role admin
    log: Log
    models: dict[str, Path]  # by reference
    faulty: list[Path]
    policies: dict[str, str]  # by reference
    policy_file: Path
    serving: Pair
    chance: random.Random
    spans: list[Span] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    previous: str | None = None
    policy: str = ""  # in the file; the next load takes it over

    def __post_init__(self) -> None:
        self.spans.append(Span(self.serving, 0.0))
        self.policy = self.serving.policy

    def allowed(self, first: float, last: float) -> list[Pair]:
        """What may have answered a request that was under way then."""
        near = (span for span in self.spans[-8:] if span.first <= last and span.last >= first)
        return list(dict.fromkeys(span.pair for span in near))

    async def keep_changing(self, every_seconds: float, end: asyncio.Event) -> None:
        due = self.now()
        while not end.is_set():
            await self.change()
            due = max(due + every_seconds, self.now())
            await asyncio.sleep(due - self.now())

    async def change(self) -> None:
        kinds = [self.load_faulty, self.roll_back, self.reload, self.reload_faulty, self.load]
        shares = [SHARE_FAULTY, SHARE_ROLLBACK, SHARE_RELOAD, SHARE_FAULTY_POLICY]
        (kind,) = self.chance.choices(kinds, [*shares, 1 - sum(shares)])
        await kind()

    async def load(self) -> None:
        others = [name for name in self.models if name != self.serving.model]
        name = self.chance.choice(others)
        body = json.dumps({"source": str(self.models[name])}).encode()
        await self.exchange("load", name, post("/admin/models/load", body, self.key))

    async def roll_back(self) -> None:
        if self.previous:
            request = post("/admin/models/rollback", b"", self.key)
            await self.exchange("rollback", self.previous, request)

    async def exchange(self, what: str, name: str, request: bytes) -> None:
        pair = Pair(name, self.policy)
        with self.window(what):
            self.spans.append(Span(pair, self.now()))
            answer = await self.ask(request)
            if answer.status == 200:
                found = json.loads(answer.body)["serving"]["model"]
                if found != name:
                    self.faults.append(f"{what}: {found} serves, expected {name}")
                self.settle(pair)
            else:
                self.spans.pop()
                self.faults.append(f"{what}: {answer.status} {answer.body[:200]!r}")

    async def load_faulty(self) -> None:
        folder = self.chance.choice(self.faulty)
        body = json.dumps({"source": str(folder)}).encode()
        with self.window("faulty load"):
            answer = await self.ask(post("/admin/models/load", body, self.key))
        if answer.status == 200:
            self.faults.append(f"{folder.parent.name} came to serve")
        shown = json.loads((await self.ask(get("/admin/models", self.key))).body)
        if shown["models"][0]["serving"]["model"] != self.serving.model:
            self.faults.append("a faulty load changed what serves")

    async def reload(self) -> None:
        """Another policy, and the same model."""
        self.policy = self.chance.choice(list(self.policies))
        put(self.policy_file, self.policies[self.policy])
        pair = Pair(self.serving.model, self.policy)
        with self.window("reload"):
            self.spans.append(Span(pair, self.now()))
            if await self.hang_up() != DONE:
                self.faults.append("a sound policy was not taken over")
            self.settle(pair)

    async def reload_faulty(self) -> None:
        put(self.policy_file, 'id = "half a policy')
        with self.window("faulty reload"):
            if await self.hang_up() != FAILED:
                self.faults.append("a faulty policy was taken over")
        put(self.policy_file, self.policies[self.policy])

    async def hang_up(self) -> str | None:
        os.kill(self.server.child.pid, signal.SIGHUP)
        return await self.log.wait_for((DONE, FAILED), LOAD_SECONDS)

    async def ask(self, request: bytes) -> Answer:
        connection = await Connection.open(self.admin_port)
        try:
            return await connection.ask(request, LOAD_SECONDS)
        finally:
            connection.close()

    def settle(self, pair: Pair) -> None:
        """It serves, and nothing else does from now on."""
        for span in self.spans[:-1]:
            span.last = min(span.last, self.now())
        self.previous, self.serving = self.serving.model, pair

    def window(self, what: str) -> Changing:
        self.log.skip()
        return Changing(self, what)

    def now(self) -> float:
        return asyncio.get_running_loop().time()


class Changing:
    """Keeps the time of a change."""

    def __init__(self, operator: Operator, what: str) -> None:
        self.operator, self.what = operator, what

    def __enter__(self) -> None:
        self.first, self.cpu = self.operator.now(), self.operator.server.cpu_seconds()

    def __exit__(self, *fault: object) -> None:
        operator = self.operator
        cpu_seconds = operator.server.cpu_seconds() - self.cpu
        operator.counts[self.what] += 1
        operator.windows.append(Window(self.what, self.first, operator.now(), cpu_seconds))

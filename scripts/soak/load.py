"""Load: requests at times that were fixed before, or one after the other; each with its end."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from collections.abc import Coroutine
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from connection import Answer
from connection import Connections
from connection import Lost
from connection import Unsent
from connection import post
from questions import Question

ANSWER_SECONDS = 60.0  # the server's deadline is 10; a client that waits longer was forgotten
SHARE_FRESH = 0.1  # of requests on a connection of their own
SHARE_ABORTED = 0.04  # half of them amid the request, half amid the answer
LONGEST_ABORT_SECONDS = 0.05
MOST_NOTES = 20

# How a request ends.
ANSWERED = "answered"
OVERLOADED = "overloaded"  # 503 server_is_overloaded with both headers
UNSENT = "unsent"  # no connection, or closed before the last byte was sent
ABORTED = "aborted"  # by the client, on purpose
LOST = "lost"
WRONG = "wrong"  # 200, but not what the model gives
REFUSED = "refused otherwise"  # any other status


@dataclass(slots=True)
class Outcome:
    """How a request went; times are those of the event loop."""

    place: int  # of the question
    due: float  # when it should have been sent: latency counts from here
    ended: float
    end: str

    def seconds(self) -> float:
        return self.ended - self.due


@dataclass
class Client:
    """Asks questions of one server and judges the answers."""

    connections: Connections
    questions: list[Question]
    judge: Callable[[int, bytes, float, float], str | None]
    key: Callable[[], str | None]
    chance: random.Random
    aborts: bool = False
    share_fresh: float = SHARE_FRESH
    outcomes: list[Outcome] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    async def open_loop(self, rate: float, seconds: float) -> None:
        """Requests come at random times, whatever becomes of those before."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        end = due + seconds
        tasks: set[asyncio.Task[None]] = set()
        while (due := due + self.chance.expovariate(rate)) < end:
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            start(self.one(self.pick(), due), tasks)
        await asyncio.gather(*tasks)

    async def closed_loop(self, n_clients: int, until: Callable[[], bool]) -> None:
        """So many clients, each of which waits for its answer before it asks again."""

        async def ask_on() -> None:
            loop = asyncio.get_running_loop()
            while not until():
                await self.one(self.pick(), loop.time())

        await asyncio.gather(*(ask_on() for _ in range(n_clients)))

    def pick(self) -> int:
        return self.chance.randrange(len(self.questions))

    async def one(self, place: int, due: float) -> None:
        """Sends one request, and keeps what became of it."""
        async with self.connections.room:
            if self.aborts and self.chance.random() < SHARE_ABORTED:
                end = await self.abort(place)
            else:
                end = await self.ask(place, due)
        self.outcomes.append(Outcome(place, due, asyncio.get_running_loop().time(), end))

    async def ask(self, place: int, due: float) -> str:
        question, loop = self.questions[place], asyncio.get_running_loop()
        fresh = self.chance.random() < self.share_fresh
        request = post(question.path, question.body, self.key(), fresh)
        sent = due
        try:
            connection = await self.connections.take(fresh)
            sent = loop.time()
            answer = await connection.ask(request, ANSWER_SECONDS)
        except Unsent as fault:
            self.note(UNSENT, str(fault))
            return UNSENT
        except Lost as fault:
            self.note(LOST, str(fault))
            return LOST
        self.connections.give(connection)
        return self.end_of(answer, place, sent, loop.time())

    def end_of(self, answer: Answer, place: int, sent: float, ended: float) -> str:
        path = self.questions[place].path
        if answer.status == 200:
            fault = self.judge(place, answer.body, sent, ended)
            if fault:
                self.note(WRONG, f"{path}: {fault}")
            return WRONG if fault else ANSWERED
        code = code_of(answer.body)
        has_headers = answer.header("retry-after") and answer.header("retry-after-ms")
        # Text-embeddings-inference has a word of its own for an overload.
        if answer.status == 503 and has_headers:
            return OVERLOADED
        self.note(REFUSED, f"{path}: {answer.status} {code}")
        return REFUSED

    async def abort(self, place: int) -> str:
        """Goes away amid its request, or while the answer is on its way."""
        question = self.questions[place]
        request = post(question.path, question.body, self.key())
        amid_request = self.chance.random() < 0.5
        try:
            connection = await self.connections.take(fresh=self.chance.random() < 0.5)
        except Unsent as fault:
            self.note(UNSENT, str(fault))
            return UNSENT
        sent = request[: self.chance.randrange(1, len(request))] if amid_request else request
        connection.send(sent)
        await asyncio.sleep(self.chance.uniform(0, LONGEST_ABORT_SECONDS))
        if self.chance.random() < 0.5:
            connection.reset()
        else:
            connection.close()
        return ABORTED

    def note(self, end: str, what: str) -> None:
        self.notes[f"{end}: {what}"] += 1

    def ends(self) -> Counter[str]:
        return Counter(outcome.end for outcome in self.outcomes)

    def most_noted(self) -> list[str]:
        return [f"{count} x {note}" for note, count in self.notes.most_common(MOST_NOTES)]

    def answered(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.end == ANSWERED]


@dataclass
class Pace:
    """How much a server got done."""

    requests: float  # a second, all of these
    texts: float
    tokens: float


def pace(client: Client, outcomes: list[Outcome], seconds: float) -> Pace:
    asked = [client.questions[outcome.place] for outcome in outcomes]
    return Pace(
        len(asked) / seconds,
        sum(question.n_texts for question in asked) / seconds,
        sum(question.n_tokens for question in asked) / seconds,
    )


async def most(client: Client, n_clients: int, seconds: float) -> Pace:
    """The pace of a server that always has work."""
    loop = asyncio.get_running_loop()
    begin = loop.time() + WARM_UP_SECONDS
    end = begin + seconds
    await client.closed_loop(n_clients, lambda: loop.time() >= end)
    within = [each for each in client.answered() if begin <= each.ended < end]
    return pace(client, within, seconds)


def start(work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(lambda task: ended(task, tasks))


def ended(task: asyncio.Task[None], tasks: set[asyncio.Task[None]]) -> None:
    # One that failed stays, and with it its fault.
    if task.cancelled() or not task.exception():
        tasks.discard(task)


def code_of(body: bytes) -> str:
    try:
        content = json.loads(body)
        error = content["error"]
        return error["code"] if isinstance(error, dict) else str(error)[:80]
    except (ValueError, KeyError, TypeError):
        return "without a code"


class Cpu:
    """CPU time of the client and of the server, from now on."""

    def __init__(self, server_seconds: Callable[[], float]) -> None:
        self.server_seconds = server_seconds
        self.began = time.monotonic(), time.process_time(), server_seconds()

    def shares(self) -> tuple[float, float]:
        """Of one CPU: the client's, the server's."""
        wall, own, server = self.began
        wall = time.monotonic() - wall
        return (time.process_time() - own) / wall, (self.server_seconds() - server) / wall


WARM_UP_SECONDS = 2.0

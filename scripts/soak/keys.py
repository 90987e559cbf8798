"""Keys of the clients, and how an old one is retired after a new one is in use."""

from __future__ import annotations

import asyncio
import random
import subprocess
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from connection import Connection
from connection import get
from models import put

TAKEN_OVER_SECONDS = 3.0  # the server promises two
IN_FLIGHT_SECONDS = 0.5  # a request that bears a key is read by then
EVERY_SECONDS = 2.0


@dataclass
class Key:
    """A key and the line of the file that stands for it."""

    secret: str
    line: str


@dataclass
class Keys:
    """The file, and those in use."""

    binary: str
    file: Path
    used: list[Key] = field(default_factory=list)
    operator: Key = field(init=False)  # it stays
    n_made: int = 0
    n_rotated: int = 0
    faults: list[str] = field(default_factory=list)

    def make(self, role: str = "client") -> Key:
        self.n_made += 1
        command = [self.binary, "key", "new", f"client-{self.n_made}", "--role", role]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        return Key(made.stderr.split()[-1], made.stdout.strip())

    def write(self, keys: list[Key]) -> None:
        lines = [key.line for key in (self.operator, *keys)]
        put(self.file, "".join(f"{line}\n" for line in lines))

    def begin(self, n_keys: int) -> None:
        self.operator = self.make("admin")
        self.used = [self.make() for _ in range(n_keys)]
        self.write(self.used)

    def pick(self, chance: random.Random) -> str:
        return chance.choice(self.used).secret

    async def rotate(self, port: int) -> None:
        """Adds one, has it used, retires the oldest, and sees that it is of no use any more."""
        new = await asyncio.to_thread(self.make)
        await asyncio.to_thread(self.write, [*self.used, new])
        await asyncio.sleep(TAKEN_OVER_SECONDS)
        old, *self.used = [*self.used, new]
        await asyncio.sleep(IN_FLIGHT_SECONDS)
        await asyncio.to_thread(self.write, self.used)
        await asyncio.sleep(TAKEN_OVER_SECONDS)
        for key, expected in ((old, 401), (new, 200)):
            status = await status_with(port, key)
            if status != expected:
                self.faults.append(f"a key gave {status}, expected {expected}")
        self.n_rotated += 1

    async def keep_rotating(self, port: int, end: asyncio.Event) -> None:
        while not end.is_set():
            await asyncio.sleep(EVERY_SECONDS)
            await self.rotate(port)


async def status_with(port: int, key: Key) -> int:
    connection = await Connection.open(port)
    answer = await connection.ask(get("/v1/models", key.secret), seconds=10)
    connection.close()
    return answer.status

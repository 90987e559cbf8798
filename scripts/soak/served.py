"""The server under load, and what /proc says about it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from process import Process
from process import Server

SAMPLE_SECONDS = 1.0
MEGABYTE = 1e6


def started(binary: str, options: list[str]) -> Server:
    return Server("moderato", [binary, *options])


def admin_port(server: Process) -> int:
    found = re.search(r'"address": ?"127\.0\.0\.1:(\d+)"[^}]*administrators', server.log())
    found = found or re.search(
        r'administrators[^}]*"address": ?"127\.0\.0\.1:(\d+)"', server.log()
    )
    if not found:
        raise server.failed()
    return int(found[1])


@dataclass
class Sample:
    """One look."""

    at: float
    resident_mb: float
    n_files: int
    n_threads: int


@dataclass
class Watch:
    """Looks at a process again and again."""

    pid: int
    samples: list[Sample] = field(default_factory=list)

    def look(self) -> Sample:
        status = Path(f"/proc/{self.pid}/status").read_text()
        n_files = len(os.listdir(f"/proc/{self.pid}/fd"))
        number = {
            name: int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1])  # type: ignore[index]
            for name in ("VmRSS", "Threads")
        }
        sample = Sample(
            time.monotonic(), number["VmRSS"] * 1024 / MEGABYTE, n_files, number["Threads"]
        )
        self.samples.append(sample)
        return sample

    async def run(self, end: asyncio.Event) -> None:
        while not end.is_set():
            self.look()
            await asyncio.sleep(SAMPLE_SECONDS)

    def thirds(self) -> tuple[list[Sample], list[Sample]]:
        """The first and the last third of what was seen."""
        third = max(len(self.samples) // 3, 1)
        return self.samples[:third], self.samples[-third:]


class Log:
    """The lines of a server's log from now on, for those that wait for one."""

    def __init__(self, server: Process) -> None:
        self.file = server.stderr.fileno()
        self.offset = os.fstat(self.file).st_size

    def skip(self) -> None:
        """What has been logged meanwhile is not waited for."""
        self.offset = os.fstat(self.file).st_size

    async def wait_for(self, messages: tuple[str, ...], seconds: float) -> str | None:
        """The first of these that is logged; none in time is none."""
        deadline = time.monotonic() + seconds
        rest = b""
        while time.monotonic() < deadline:
            new = os.pread(self.file, 1 << 20, self.offset)
            self.offset += len(new)
            *lines, rest = (rest + new).split(b"\n")
            for line in lines:
                found = next((each for each in messages if each.encode() in line), None)
                if found:
                    self.offset -= len(rest)
                    return found
            await asyncio.sleep(0.005)
        return None


def logged(server: Process, level: str) -> list[str]:
    """The messages of a level."""
    lines = (json.loads(line) for line in server.log().splitlines() if line.startswith("{"))
    return [line["message"] for line in lines if line.get("level") == level and "message" in line]

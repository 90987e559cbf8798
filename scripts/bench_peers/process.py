"""Processes that are measured: started, asked, watched through /proc, stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

READY_SECONDS = 120
STOP_SECONDS = 30
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ProcessError(Exception):
    """A process that did not start or that ended too soon, with its last words."""


class Process:
    """A child and what /proc says about it."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.stderr = tempfile.TemporaryFile()
        self.started = time.perf_counter()
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            text=True,
            env={**os.environ, **environment},
        )

    def failed(self) -> ProcessError:
        self.child.kill()
        self.child.wait()
        return ProcessError(f"{self.name}: {self.last_words()}")

    def last_words(self) -> str:
        lines = self.log().strip().splitlines() or ["it ended without a word"]
        return lines[-1].removeprefix("peers: ")

    def log(self) -> str:
        # With a position of its own: the child writes where this one's would be.
        size = os.fstat(self.stderr.fileno()).st_size
        return os.pread(self.stderr.fileno(), size, 0).decode(errors="replace")

    def peak_bytes(self) -> int:
        """The largest resident size so far."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        return int(found[1]) * 1024 if found else 0

    def cpu_seconds(self) -> float:
        """Of all its threads."""
        stat = Path(f"/proc/{self.child.pid}/stat").read_text()
        after_name = stat.rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / TICKS_PER_SECOND

    def stop(self) -> None:
        if self.child.stdin:
            self.child.stdin.close()  # what ends a worker
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Contestant(Process):
    """A worker that answers a line of JSON with a line of JSON."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        super().__init__(name, command, environment)
        self._answer()  # that it is ready
        self.load_seconds = time.perf_counter() - self.started

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self.child.stdin
        try:
            self.child.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.child.stdin.flush()
        except BrokenPipeError:
            raise self.failed() from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.child.stdout
        line = self.child.stdout.readline()
        if not line:
            raise self.failed()
        return json.loads(line)


class Server(Process):
    """`moderato serve` on a free port of the loopback."""

    def __init__(self, name: str, command: list[str]) -> None:
        options = ["serve", "--listen", "127.0.0.1:0", "--log-format", "json"]
        super().__init__(name, [*command[:1], *options, *command[1:]], {})
        deadline = self.started + READY_SECONDS
        self.port = 0
        while not self._is_ready():
            if self.child.poll() is not None or time.perf_counter() > deadline:
                raise self.failed()
            time.sleep(0.002)
        self.ready_seconds = time.perf_counter() - self.started

    def _is_ready(self) -> bool:
        if not self.port:
            found = re.search(r'"address": ?"127\.0\.0\.1:(\d+)"', self.log())
            if not found:
                return False
            self.port = int(found[1])
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}/health/ready", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

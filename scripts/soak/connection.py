"""HTTP/1.1 by hand: a connection that knows what was sent on it and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from dataclasses import dataclass

IDLE_SECONDS = 2.0  # a longer idle connection is not used again: the server may be closing it


@dataclass
class Answer:
    """A whole answer."""

    status: int
    head: bytes  # lower case
    body: bytes

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n"):
            key, _, value = line.partition(b":")
            if key == name.encode():
                return value.strip().decode()
        return None


class Unsent(Exception):
    """Nobody accepted the request: no connection, one that was closed before the last byte went, or
    one that ended with the socket before the server had taken it from the backlog."""


class Lost(Exception):
    """The last byte had been sent; no whole answer came."""


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[Answer] | None = None
        self.n_answered = 0
        self.is_closed = False
        self.idle_since = 0.0
        self._received = bytearray()
        self._head: bytes | None = None
        self._n_body = 0

    @classmethod
    async def open(cls, port: int) -> Connection:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await loop.sock_connect(sock, ("127.0.0.1", port))
            _, connection = await loop.create_connection(lambda: cls(sock), sock=sock)
        except OSError as fault:
            sock.close()
            raise Unsent(str(fault)) from None
        except BaseException:
            sock.close()
            raise
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def is_usable(self) -> bool:
        """Whether the server has not closed it, as far as the kernel knows at this moment."""
        if self.is_closed:
            return False
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False  # its end, or bytes that nobody asked for

    async def ask(self, request: bytes, seconds: float) -> Answer:
        self.send(request)
        assert self.answer
        try:
            return await asyncio.wait_for(self.answer, seconds)
        except TimeoutError:
            self.close()
            raise Lost(f"no answer within {seconds} s") from None
        except asyncio.CancelledError:
            self.close()
            raise

    def send(self, request: bytes) -> None:
        assert self.transport
        self.answer = asyncio.get_running_loop().create_future()
        self._received.clear()
        self._head = None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._head is None:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            self._head = bytes(self._received[:end]).lower()
            del self._received[: end + 4]
            at = self._head.find(b"\r\ncontent-length:")
            if at < 0:
                return self._fail("an answer without a length")
            line = self._head[at + 17 :].partition(b"\r\n")[0]
            self._n_body = int(line)
        if len(self._received) >= self._n_body and self.answer and not self.answer.done():
            self.n_answered += 1
            status = int(self._head[9:12])
            if b"\r\nconnection: close" in self._head:
                self.close()
            self.answer.set_result(Answer(status, self._head, bytes(self._received)))

    def connection_lost(self, fault: Exception | None) -> None:
        # The kernel resets a connection that waits in the backlog of a socket that is closed.
        is_taken = self.n_answered > 0 or bool(self._received) or self._head is not None
        is_reset = isinstance(fault, ConnectionResetError)
        self._fail(str(fault or "closed"), is_accepted=is_taken or not is_reset)
        self.is_closed = True

    def _fail(self, how: str, is_accepted: bool = True) -> None:
        if not self.answer or self.answer.done() or self.is_closed:
            return
        assert self.transport
        place = f"after {self.n_answered} answers" if self.n_answered else "a fresh connection"
        part = "half an answer, then " if self._received or self._head else ""
        if self.transport.get_write_buffer_size() or not is_accepted:
            self.answer.set_exception(Unsent(how))
        else:
            self.answer.set_exception(Lost(f"{part}{how}, {place}"))
        self.answer.exception()  # whoever waits gets it too; nobody may wait any more

    def close(self) -> None:
        self.is_closed = True
        if self.transport:
            self.transport.close()

    def reset(self) -> None:
        """Ends it as a process that is killed would: at once, what is under way is thrown away."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.is_closed = True
        if self.transport:
            self.transport.abort()


class Connections:
    """Those that are kept alive, and never more than so many at once."""

    def __init__(self, port: int, n_most: int) -> None:
        self.port = port
        self.n_open = 0
        self.room = asyncio.Semaphore(n_most)
        self.idle: deque[Connection] = deque()

    async def take(self, fresh: bool) -> Connection:
        """An idle one, else a new one. The caller holds `room`."""
        now = asyncio.get_running_loop().time()
        while self.idle and now - self.idle[0].idle_since > IDLE_SECONDS:
            self.idle.popleft().close()
        while self.idle and not fresh:
            connection = self.idle.pop()
            if connection.is_usable():
                return connection
            connection.close()
        return await Connection.open(self.port)

    def give(self, connection: Connection) -> None:
        if not connection.is_closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self.idle.append(connection)

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()


def post(path: str, body: bytes, key: str | None, fresh: bool = False) -> bytes:
    return head("POST", path, key, fresh) + (
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    ) + body


def get(path: str, key: str | None = None) -> bytes:
    return head("GET", path, key, False) + b"\r\n"


def head(method: str, path: str, key: str | None, fresh: bool) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: localhost"]
    lines += [f"authorization: Bearer {key}"] * (key is not None)
    lines += ["connection: close"] * fresh
    return ("\r\n".join(lines) + "\r\n").encode()

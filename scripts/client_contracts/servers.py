"""The two servers that the checks ask, and how to ask them without any client."""

from __future__ import annotations

import json
import re
import select
import time
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from texts import LARGE

MODEL = "moderato-small"


@dataclass(frozen=True)
class Servers:
    """Addresses without a slash at the end."""

    url: str
    # Its queue takes one LARGE text, its bodies are smaller than LARGER.
    tight: str

    @contextmanager
    def full_queue(self) -> Iterator[None]:
        """Keeps a large text waiting in the tight server; a second one finds no room."""
        connection = self._hold()
        try:
            yield
        finally:
            # The server drops what nobody waits for any more.
            connection.close()

    def _hold(self) -> HTTPConnection:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            connection = connect(self.tight)
            send(connection, "/v1/score", {"input": LARGE})
            # An answer at once is a refusal: the text of the check before has not left yet.
            while not select.select([connection.sock], [], [], 0.01)[0]:
                if waiting_tokens(self.tight) > 0:
                    return connection
            connection.close()
        raise AssertionError("the queue of the tight server does not fill")


@dataclass(frozen=True)
class Reply:
    """An answer to a request by plain HTTP."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: Any


def ask(url: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
    """Posts JSON and returns the JSON of the answer, which has to be 200."""
    reply = post(url, path, body, headers)
    if reply.status != 200:
        raise AssertionError(f"{path} answers {reply.status}: {reply.body}")
    return reply.body


def post(url: str, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
    """Posts JSON and returns whatever is answered."""
    connection = connect(url)
    send(connection, path, body, headers)
    return read(connection)


def get(url: str, path: str) -> Reply:
    connection = connect(url)
    connection.request("GET", path)
    return read(connection)


def connect(url: str) -> HTTPConnection:
    return HTTPConnection(url.removeprefix("http://"), timeout=60)


def send(
    connection: HTTPConnection, path: str, body: Any, headers: Mapping[str, str] | None = None
) -> None:
    headers = {"content-type": "application/json", **(headers or {})}
    connection.request("POST", path, json.dumps(body), headers)


def read(connection: HTTPConnection) -> Reply:
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    connection.close()
    is_json = headers.get("content-type", "").startswith("application/json")
    return Reply(answer.status, headers, json.loads(body) if is_json else body.decode())


def waiting_tokens(url: str) -> int:
    metrics = get(url, "/metrics").body
    found = re.search(r"^moderato_queue_tokens (\d+)$", metrics, re.MULTILINE)
    return int(found[1]) if found else 0


def scores(url: str, text: str) -> dict[str, float]:
    """The scores of a text in our own words, against which all contracts are held."""
    categories = ask(url, "/v1/score", {"input": text})["results"][0]["categories"]
    return {id: category["score"] for id, category in categories.items()}

"""Checks two running servers with the clients that people already use.

    python contracts.py http://127.0.0.1:43121 http://127.0.0.1:43122 [PART-OF-A-NAME]

The first server has its default limits, the second a small queue and small bodies. Every function
of a `*_contract` module that is named `check_*` is one check; it takes the servers and raises when
the contract is broken. The names of the checks say what is promised.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from servers import Servers

Check = Callable[[Servers], None]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def main() -> int:
    """Runs every check, prints a line for each, and returns the exit status."""
    url, tight, *wanted = sys.argv[1:]
    servers = Servers(url.rstrip("/"), tight.rstrip("/"))
    sys.addaudithook(refuse_other_hosts)
    checks = [(name, check) for name, check in all_checks() if all(part in name for part in wanted)]
    outcomes = [run(name, check, servers) for name, check in checks]
    return 0 if outcomes and all(outcomes) else 1


def all_checks() -> Iterator[tuple[str, Check]]:
    for path in sorted(Path(__file__).parent.glob("*_contract.py")):
        module = importlib.import_module(path.stem)
        for name, value in vars(module).items():
            if name.startswith("check_"):
                yield name.removeprefix("check_").replace("_", " "), value


def run(name: str, check: Check, servers: Servers) -> bool:
    """Runs one check and prints its line, `ok` or `FAIL`."""
    try:
        check(servers)
    except Exception as error:  # whatever a client raises is the finding
        reason = " ".join(str(error).split())[:500]
        places = traceback.extract_tb(error.__traceback__)
        ours = [place for place in places if place.filename.endswith("_contract.py")][-1]
        print(f"FAIL {name}: {type(error).__name__}: {reason} ({ours.name}:{ours.lineno})")
        return False
    print(f"ok {name}", flush=True)
    return True


def refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    """Makes any look-up or connection that leaves loopback an error."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host not in LOOPBACK:
        raise PermissionError(f"a client wants to speak to {host}")


if __name__ == "__main__":
    sys.exit(main())

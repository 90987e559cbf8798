#!/usr/bin/env python3
"""Starts a server, has it score the self-test texts of its model over HTTP, and ends it.

Usage: serve_once.py SELF_TEST_FILE COMMAND [ARGUMENT ...]

The command is that of `moderato serve` over the model to which the file belongs. Exits 1 if a score
is further from the expected one than the file allows, or if the server does not end with 0.
"""

import json
import os
import subprocess
import sys
import threading
import urllib.request

SETTINGS = ["--listen", "127.0.0.1:0", "--log", "info", "--log-format", "json", "--request-timeout-ms", "200000"]
START_SECONDS = 240  # emulated, from the start to the answer
STOP_SECONDS = 30


def main(self_test_file: str, *command: str) -> None:
    with open(self_test_file, encoding="utf-8") as lines:
        tests = [json.loads(line) for line in lines]
    settings = {name: value for name, value in os.environ.items() if not name.startswith("MODERATO_")}
    server = subprocess.Popen(
        [*command, *SETTINGS],
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    too_late = threading.Timer(START_SECONDS, server.kill)
    too_late.start()
    try:
        check_scores(listening_address(server), tests)
        server.terminate()
        server.communicate(timeout=STOP_SECONDS)
    finally:
        too_late.cancel()
        server.kill()
    if server.returncode != 0:
        sys.exit(f"the server ended with {server.returncode}")
    print(f"{len(tests)} texts scored as expected by {' '.join(command)}")


def listening_address(server: subprocess.Popen) -> str:
    """The address in the server's log, once the server has its model."""
    address, log = None, []
    for line in server.stderr:
        log.append(line)
        # The last words of a server that cannot start are no JSON.
        entry = json.loads(line) if line.startswith("{") else {}
        if entry.get("message") == "listening":
            address = entry["address"]
        if entry.get("message") == "ready":
            return address
    sys.exit("the server has ended before it was ready:\n" + "".join(log))


def check_scores(address: str, tests: list[dict]) -> None:
    body = json.dumps({"input": [test["text"] for test in tests]}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://{address}/v1/score", body, headers)
    # No proxy: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=START_SECONDS) as response:
        if response.status != 200:
            sys.exit(f"POST /v1/score was answered with {response.status}")
        results = json.load(response)["results"]
    for test, result in zip(tests, results, strict=True):
        for category, expected in test["scores"].items():
            score = result["categories"][category]["score"]
            if abs(score - expected) > test["tolerance"]:
                sys.exit(f"{category} of {test['text']!r} is {score}, expected {expected}")


if __name__ == "__main__":
    main(*sys.argv[1:])

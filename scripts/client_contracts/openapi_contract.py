"""The description of the routes: it is valid, and the server keeps to it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from urllib.request import urlopen

from openapi_spec_validator import validate
from servers import Servers

EXAMPLES = 2000
EXAMPLES_A_ROUTE = 60  # at most, in the phase that draws at random
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


def check_openapi_is_valid(servers: Servers) -> None:
    with urlopen(f"{servers.url}/openapi.json") as answer:
        validate(json.load(answer))


def check_openapi_is_kept_to_in_2000_examples(servers: Servers) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{servers.url}/openapi.json"]
    command += ["--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"]
    command += ["--max-examples", str(EXAMPLES_A_ROUTE), "--seed", "1", "--no-color"]
    command += ["--generation-database", "none"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    counted = re.search(r"(\d+) generated, (\d+) passed", run.stdout)
    assert run.returncode == 0 and counted, run.stdout[-3000:] + run.stderr[-1000:]
    assert int(counted[1]) >= EXAMPLES and counted[1] == counted[2], counted[0]

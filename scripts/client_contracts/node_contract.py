"""OpenAI's client for Node, which node/moderate.mjs drives."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from categories import OPENAI
from expect import expect
from expect import expect_equal
from expect import expect_matches
from expect import expect_scores
from expect import expect_told_apart
from servers import Servers
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER


def check_node_openai_tells_harmful_from_harmless(servers: Servers) -> None:
    request = {"model": "omni-moderation-latest", "input": [HARMFUL, HARMLESS]}
    answer = moderate(servers.url, request)["answer"]
    expect_matches("id", answer["id"], r"modr-[0-9a-f]{32}")
    harmful, harmless = answer["results"]
    for result in [harmful, harmless]:
        expect_scores(result["category_scores"], OPENAI)
    violence = [result["category_scores"]["violence"] for result in answer["results"]]
    expect_told_apart(*violence)
    expect_equal("flagged", [harmful["flagged"], harmless["flagged"]], [True, False])


def check_node_openai_blank_text_scores_zero(servers: Servers) -> None:
    answer = moderate(servers.url, {"input": ""})["answer"]
    expect_equal("flagged", [result["flagged"] for result in answer["results"]], [False])
    expect_equal("scores", set(answer["results"][0]["category_scores"].values()), {0})


def check_node_openai_empty_list_is_refused(servers: Servers) -> None:
    error = moderate(servers.url, {"input": []})["error"]
    expect_equal("class", error["class"], "BadRequestError")
    expect_equal("code", error["code"], "no_texts")
    expect("the request id is there", bool(error["requestID"]))


def check_node_openai_too_large_a_body_is_413(servers: Servers) -> None:
    error = moderate(servers.tight, {"input": LARGER})["error"]
    expect_equal("status and code", (error["status"], error["code"]), (413, "body_too_large"))


def check_node_openai_a_full_queue_is_503(servers: Servers) -> None:
    with servers.full_queue():
        error = moderate(servers.tight, {"input": LARGE})["error"]
    expect_equal("class", error["class"], "InternalServerError")
    expect_equal("status and code", (error["status"], error["code"]), (503, "server_is_overloaded"))


def moderate(url: str, request: dict[str, Any]) -> dict[str, Any]:
    """Asks in a process of Node; returns what its client answered or threw."""
    script = Path(__file__).parent / "node" / "moderate.mjs"
    command = ["node", script, os.environ["NODE_CLIENTS"], f"{url}/v1"]
    run = subprocess.run(
        command, input=json.dumps(request), capture_output=True, text=True, timeout=60, check=False
    )
    if run.returncode != 0:
        raise AssertionError(f"node ended with {run.returncode}: {run.stderr}")
    return json.loads(run.stdout)

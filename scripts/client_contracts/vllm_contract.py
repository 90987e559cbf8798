"""vLLM's route for classifiers by plain HTTP."""

from __future__ import annotations

from typing import Any

from categories import CATEGORIES
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_matches
from expect import expect_told_apart
from servers import Reply
from servers import Servers
from servers import ask
from servers import post
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER

PATH = "/classify"


def check_vllm_tells_harmful_from_harmless(servers: Servers) -> None:
    answer = ask(servers.url, PATH, {"model": "any", "input": [HARMFUL, HARMLESS]})
    expect_matches("id", answer["id"], "classify-[0-9a-f]{32}")
    expect_equal("object", answer["object"], "list")
    expect("created is a time", answer["created"] > 1_600_000_000)
    expect("tokens are counted", answer["usage"]["prompt_tokens"] > 0)
    for index, item in enumerate(answer["data"]):
        expect_item(index, item)
    place = CATEGORIES.index(VIOLATED)
    expect_told_apart(*(item["probs"][place] for item in answer["data"]))
    expect_equal("label", answer["data"][0]["label"], VIOLATED)


def check_vllm_one_text(servers: Servers) -> None:
    answer = ask(servers.url, PATH, {"input": HARMFUL, "truncate_prompt_tokens": 64})
    expect_equal("number of items", len(answer["data"]), 1)
    expect_item(0, answer["data"][0])


def check_vllm_messages(servers: Servers) -> None:
    messages = [{"role": "user", "content": HARMLESS}, {"role": "assistant", "content": HARMFUL}]
    answer = ask(servers.url, PATH, {"model": "any", "messages": messages})
    expect_equal("labels", [item["label"] for item in answer["data"]], [VIOLATED])


def check_vllm_blank_text_scores_zero(servers: Servers) -> None:
    for use_activation, score in [(True, 0), (False, -20)]:
        body = {"input": "", "use_activation": use_activation}
        probs = ask(servers.url, PATH, body)["data"][0]["probs"]
        expect_equal("probs", set(probs), {score})


def check_vllm_maps_errors(servers: Servers) -> None:
    for body in [{}, {"input": []}, {"input": 7}, {"messages": []}, []]:
        expect_error(post(servers.url, PATH, body), 400, "invalid_request_error")
    too_large = post(servers.tight, PATH, {"input": LARGER})
    expect_error(too_large, 413, "invalid_request_error")
    with servers.full_queue():
        expect_error(post(servers.tight, PATH, {"input": LARGE}), 503, "overloaded_error")


def expect_item(index: int, item: dict[str, Any]) -> None:
    expect_equal("index", item["index"], index)
    expect_equal("num_classes", item["num_classes"], len(CATEGORIES))
    expect_equal("number of probs", len(item["probs"]), len(CATEGORIES))
    expect("probs are within [0, 1]", all(0 <= prob <= 1 for prob in item["probs"]))
    highest = item["probs"].index(max(item["probs"]))
    expect_equal("label", item["label"], CATEGORIES[highest])


def expect_error(reply: Reply, status: int, kind: str) -> None:
    expect_equal("status", reply.status, status)
    expect_equal("keys", list(reply.body), ["error"])
    expect_equal("keys", sorted(reply.body["error"]), ["code", "message", "param", "type"])
    expect_equal("type", reply.body["error"]["type"], kind)

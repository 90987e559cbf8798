"""text-embeddings-inference, which its users ask by plain HTTP."""

from __future__ import annotations

from typing import Any

from categories import CATEGORIES
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_matches
from expect import expect_in_order
from expect import expect_scores
from expect import expect_told_apart
from servers import MODEL
from servers import Reply
from servers import Servers
from servers import ask
from servers import get
from servers import post
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER

PATH = "/predict"


def check_tei_one_text(servers: Servers) -> None:
    harmful, harmless = (predict(servers.url, text) for text in [HARMFUL, HARMLESS])
    expect_labels(harmful)
    expect_labels(harmless)
    expect_equal("first label", harmful[0]["label"], VIOLATED)
    expect_told_apart(scores(harmful)[VIOLATED], scores(harmless)[VIOLATED])
    expect_equal("alone in an array", predict(servers.url, [HARMFUL]), harmful)


def check_tei_a_batch(servers: Servers) -> None:
    for batch in [[[HARMFUL], [HARMLESS]], [[HARMFUL], HARMLESS]]:
        answers = predict(servers.url, batch)
        expect_equal("number of answers", len(answers), 2)
        for labels in answers:
            expect_labels(labels)
        expect_told_apart(*(scores(labels)[VIOLATED] for labels in answers))
    expect_equal("a batch of one", len(predict(servers.url, [[HARMFUL]])), 1)


def check_tei_a_pair_is_refused(servers: Servers) -> None:
    """What TEI takes for one pair would look like a batch of two to the unwary."""
    for pair in [[HARMFUL, HARMLESS], [[HARMFUL, HARMLESS]], [[HARMFUL], [HARMFUL, HARMLESS]]]:
        error = post(servers.url, PATH, {"inputs": pair})
        expect_error(error, 422, "Validation")
        expect("the message speaks of pairs", "pair" in error.body["error"])


def check_tei_raw_scores(servers: Servers) -> None:
    calibrated, raw = (predict(servers.url, HARMFUL, raw_scores=raw) for raw in [False, True])
    expect_equal("default", predict(servers.url, HARMFUL), calibrated)
    expect_equal("labels", sorted(scores(raw)), sorted(CATEGORIES))
    expect_in_order("scores", [label["score"] for label in raw])
    expect("logits are below 0 too", raw[-1]["score"] < 0)
    expect_equal("first label", raw[0]["label"], VIOLATED)


def check_tei_truncate_is_accepted(servers: Servers) -> None:
    plain = predict(servers.url, HARMFUL)
    left = {"truncate": True, "truncation_direction": "left"}
    for terms in [{"truncate": True}, {"truncate": False}, {"truncate": None}, left]:
        expect_equal(f"with {terms}", predict(servers.url, HARMFUL, **terms), plain)


def check_tei_info(servers: Servers) -> None:
    info = get(servers.url, "/info").body
    expect_equal("model_id", info["model_id"], MODEL)
    classifier = info["model_type"]["classifier"]
    numbered = {str(number): label for number, label in enumerate(CATEGORIES)}
    expect_equal("id2label", classifier["id2label"], numbered)
    expect_equal("label2id", classifier["label2id"], {id: n for n, id in enumerate(CATEGORIES)})
    for name in ["max_input_length", "max_client_batch_size"]:
        expect(f"{name} is a number above 0", info[name] > 0)
    for name in ["model_dtype", "version"]:
        expect(f"{name} is a text", bool(info[name]) and isinstance(info[name], str))


def check_tei_vllm_and_fms_health(servers: Servers) -> None:
    """All three are probed under the same path."""
    expect_equal("status", get(servers.url, "/health").status, 200)


def check_tei_blank_text_scores_zero(servers: Servers) -> None:
    for raw_scores, score in [(False, 0), (True, -20)]:
        body = {"inputs": "", "raw_scores": raw_scores}
        found = {each["score"] for each in ask(servers.url, PATH, body)}
        expect_equal("scores", found, {score})


def check_tei_maps_errors(servers: Servers) -> None:
    for inputs in [[], 7, [[HARMLESS], 7], None]:
        expect_error(post(servers.url, PATH, {"inputs": inputs}), 422, "Validation")
    expect_error(post(servers.url, PATH, {}), 422, "Validation")
    expect_error(post(servers.tight, PATH, {"inputs": LARGER}), 413, "Validation")
    with servers.full_queue():
        error = post(servers.tight, PATH, {"inputs": LARGE})
    expect_error(error, 503, "Overloaded")
    expect_matches("retry-after", error.headers.get("retry-after", ""), r"[1-9]\d?")


def predict(url: str, inputs: Any, **terms: Any) -> Any:
    return ask(url, PATH, {"inputs": inputs, **terms})


def scores(labels: list[dict[str, Any]]) -> dict[str, float]:
    return {label["label"]: label["score"] for label in labels}


def expect_labels(labels: list[dict[str, Any]]) -> None:
    expect_scores(scores(labels), CATEGORIES)
    expect_in_order("scores", [label["score"] for label in labels])


def expect_error(reply: Reply, status: int, error_type: str) -> None:
    expect_equal("status", reply.status, status)
    expect_equal("keys", sorted(reply.body), ["error", "error_type"])
    expect_equal("error_type", reply.body["error_type"], error_type)
    expect("the error says something", bool(reply.body["error"]))

"""The detector API of the FMS guardrails orchestrator by plain HTTP."""

from __future__ import annotations

from typing import Any

from categories import CATEGORIES
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_told_apart
from servers import Reply
from servers import Servers
from servers import ask
from servers import post
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER
from texts import SURROUNDED
from texts import THREAT

PATH = "/api/v1/text/contents"
HEADERS = {"detector-id": "moderato"}
KEYS = ["detection", "detection_type", "end", "evidence", "metadata", "score", "start", "text"]


def check_fms_tells_harmful_from_harmless(servers: Servers) -> None:
    harmful, harmless = detect(servers.url, [HARMFUL, HARMLESS])
    expect_equal("types", [found["detection_type"] for found in harmful], [VIOLATED])
    expect_equal("keys", sorted(harmful[0]), KEYS)
    expect_equal("detections in the harmless text", harmless, [])


def check_fms_threshold(servers: Servers) -> None:
    answers = detect(servers.url, [HARMFUL, HARMLESS], threshold=0.0)
    scores = [{found["detection_type"]: found["score"] for found in each} for each in answers]
    for each in scores:
        expect_equal("types", sorted(each), sorted(CATEGORIES))
    expect_told_apart(*(each[VIOLATED] for each in scores))
    expect_equal("none that sure", detect(servers.url, [HARMFUL], threshold=0.999), [[]])


def check_fms_detections_say_where(servers: Servers) -> None:
    (found,) = detect(servers.url, [SURROUNDED])
    for detection in found:
        part = SURROUNDED[detection["start"] : detection["end"]]
        expect_equal("text", detection["text"], part)
    parts = [each["text"] for each in found if each["detection_type"] == VIOLATED]
    expect(f"one of {parts} holds the threat", any(THREAT in part for part in parts))
    expect(f"none of {parts} is the whole text", SURROUNDED not in parts)


def check_fms_without_detector_id(servers: Servers) -> None:
    """The orchestrator always sends the header, NeMo Guardrails never does."""
    reply = post(servers.url, PATH, {"contents": [HARMFUL]})
    expect_equal("status", reply.status, 200)
    expect_equal("body", reply.body, detect(servers.url, [HARMFUL]))


def check_fms_blank_text_has_no_detections(servers: Servers) -> None:
    expect_equal("detections", detect(servers.url, ["", " "]), [[], []])


def check_fms_maps_errors(servers: Servers) -> None:
    wrong: list[Any] = [{}, {"contents": []}, {"contents": HARMLESS}, []]
    for body in [*wrong, {"contents": [HARMLESS], "detector_params": {"threshold": 2}}]:
        expect_error(post(servers.url, PATH, body, HEADERS), 422)
    expect_error(post(servers.tight, PATH, {"contents": [LARGER]}, HEADERS), 413)
    with servers.full_queue():
        expect_error(post(servers.tight, PATH, {"contents": [LARGE]}, HEADERS), 503)


def detect(url: str, contents: list[str], **params: Any) -> Any:
    return ask(url, PATH, {"contents": contents, "detector_params": params}, HEADERS)


def expect_error(reply: Reply, status: int) -> None:
    expect_equal("status", reply.status, status)
    expect_equal("keys", sorted(reply.body), ["code", "message"])
    expect_equal("code", reply.body["code"], status)
    expect("the message says something", bool(reply.body["message"]))

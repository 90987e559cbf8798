"""Perspective, with the JSON that Google's API clients send, by plain HTTP."""

from __future__ import annotations

from typing import Any

from categories import CATEGORIES
from expect import expect
from expect import expect_equal
from expect import expect_scores
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

PATH = "/v1alpha1/comments:analyze?key=unused&alt=json"
ATTRIBUTES = ["TOXICITY", "SEVERE_TOXICITY", "IDENTITY_ATTACK", "INSULT", "THREAT"]


def check_perspective_tells_harmful_from_harmless(servers: Servers) -> None:
    harmful, harmless = (analyze(servers.url, text) for text in [HARMFUL, HARMLESS])
    for answer in [harmful, harmless]:
        expect_scores(summaries(answer), ATTRIBUTES)
    for name in ["TOXICITY", "THREAT"]:
        expect_told_apart(summaries(harmful)[name], summaries(harmless)[name])
    for name, attribute in harmful["attributeScores"].items():
        expect_equal(f"type of {name}", attribute["summaryScore"]["type"], "PROBABILITY")


def check_perspective_echoes_what_the_client_sent(servers: Servers) -> None:
    terms = {"languages": ["en"], "clientToken": "token-7", "doNotStore": True}
    answer = analyze(servers.url, HARMLESS, **terms)
    expect_equal("languages", answer["languages"], ["en"])
    expect_equal("clientToken", answer["clientToken"], "token-7")
    expect("nothing is stored", answer.get("doNotStore", True) is True)


def check_perspective_spans_lie_where_the_threat_is(servers: Servers) -> None:
    answer = analyze(servers.url, SURROUNDED, spanAnnotations=True)
    spans = answer["attributeScores"]["THREAT"]["spanScores"]
    for span in spans:
        expect("the span lies in the text", 0 <= span["begin"] < span["end"] <= len(SURROUNDED))
        expect_equal("type", span["score"]["type"], "PROBABILITY")
    highest = max(spans, key=lambda span: span["score"]["value"])
    part = SURROUNDED[highest["begin"] : highest["end"]]
    expect(f"{part!r} holds the threat", THREAT in part)
    expect(f"{part!r} is not the whole text", part != SURROUNDED)


def check_perspective_score_threshold_leaves_attributes_out(servers: Servers) -> None:
    requested = {"TOXICITY": {"scoreThreshold": 0.5}, "THREAT": {"scoreType": "PROBABILITY"}}
    answer = analyze(servers.url, HARMLESS, requestedAttributes=requested)
    expect_equal("attributes", list(summaries(answer)), ["THREAT"])


def check_perspective_derived_attributes_score_as_their_parent(servers: Servers) -> None:
    scores = summaries(analyze(servers.url, HARMFUL))
    expect_equal("SEVERE_TOXICITY", scores["SEVERE_TOXICITY"], scores["TOXICITY"])


def check_perspective_uncovered_attributes_score_0(servers: Servers) -> None:
    requested = {"PROFANITY": {}, "FLIRTATION": {}}
    answer = analyze(servers.url, HARMFUL, requestedAttributes=requested)
    expect_equal("scores", summaries(answer), {"PROFANITY": 0, "FLIRTATION": 0})


def check_perspective_unknown_attribute_is_refused(servers: Servers) -> None:
    for unknown in ["RUDENESS", CATEGORIES[0]]:
        error = post(servers.url, PATH, request(HARMLESS, requestedAttributes={unknown: {}}))
        expect_google_error(error, 400, "INVALID_ARGUMENT")
        expect("the message names it", unknown in error.body["error"]["message"])


def check_perspective_blank_text_scores_zero(servers: Servers) -> None:
    found = summaries(analyze(servers.url, ""))
    expect_equal("scores", set(found.values()), {0})


def check_perspective_maps_errors(servers: Servers) -> None:
    for body in [{"requestedAttributes": {}}, request(HARMLESS, languages=7), []]:
        expect_google_error(post(servers.url, PATH, body), 400, "INVALID_ARGUMENT")
    expect_google_error(post(servers.tight, PATH, request(LARGER)), 413, "INVALID_ARGUMENT")
    with servers.full_queue():
        expect_google_error(post(servers.tight, PATH, request(LARGE)), 503, "UNAVAILABLE")


def request(text: str, **terms: Any) -> dict[str, Any]:
    return {
        "comment": {"text": text, "type": "PLAIN_TEXT"},
        "requestedAttributes": {name: {} for name in ATTRIBUTES},
        "doNotStore": True,
        **terms,
    }


def analyze(url: str, text: str, **terms: Any) -> Any:
    return ask(url, PATH, request(text, **terms))


def summaries(answer: Any) -> dict[str, float]:
    scores = answer["attributeScores"]
    return {name: attribute["summaryScore"]["value"] for name, attribute in scores.items()}


def expect_google_error(reply: Reply, status: int, name: str) -> None:
    expect_equal("status", reply.status, status)
    expect_equal("keys", list(reply.body), ["error"])
    error = reply.body["error"]
    expect_equal("keys of error", sorted(error), ["code", "message", "status"])
    expect_equal("code and status", (error["code"], error["status"]), (status, name))
    expect("the message says something", bool(error["message"]))

"""KServe's first protocol by plain HTTP; Triton's client asks its second."""

from __future__ import annotations

from typing import Any

from categories import CATEGORIES
from categories import VIOLATED
from expect import expect
from expect import expect_equal
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

PATH = f"/v1/models/{MODEL}:predict"


def check_kserve_v1_tells_harmful_from_harmless(servers: Servers) -> None:
    answer = ask(servers.url, PATH, {"instances": [HARMFUL, {"text": HARMLESS}]})
    expect_equal("keys", list(answer), ["predictions"])
    harmful, harmless = answer["predictions"]
    expect_scores(harmful, CATEGORIES)
    expect_scores(harmless, CATEGORIES)
    expect_equal("order", list(harmful), CATEGORIES)
    expect_told_apart(harmful[VIOLATED], harmless[VIOLATED])


def check_kserve_v1_model_status(servers: Servers) -> None:
    reply = get(servers.url, f"/v1/models/{MODEL}")
    expect_equal("body", reply.body, {"name": MODEL, "ready": True})
    expect_error(get(servers.url, "/v1/models/other"), 404)


def check_kserve_v1_blank_text_scores_zero(servers: Servers) -> None:
    predictions = ask(servers.url, PATH, {"instances": [""]})["predictions"]
    expect_equal("scores", set(predictions[0].values()), {0})


def check_kserve_v1_maps_errors(servers: Servers) -> None:
    wrong: list[Any] = [{}, {"instances": []}, {"instances": HARMLESS}]
    for body in [*wrong, {"instances": [7]}, {"instances": [{}]}, []]:
        expect_error(post(servers.url, PATH, body), 400)
    other = post(servers.url, "/v1/models/other:predict", {"instances": [HARMLESS]})
    expect_error(other, 404)
    expect_error(post(servers.tight, PATH, {"instances": [LARGER]}), 413)
    with servers.full_queue():
        expect_error(post(servers.tight, PATH, {"instances": [LARGE]}), 503)


def expect_error(reply: Reply, status: int) -> None:
    expect_equal("status", reply.status, status)
    expect_equal("keys", list(reply.body), ["error"])
    expect("the error says something", bool(reply.body["error"]))

"""Every contract says the same of a text: the scores of POST /v1/score, under its own names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from categories import CATEGORIES
from categories import NAMES_OF_MODELS
from expect import expect_equal
from expect import expect_same_scores
from servers import MODEL
from servers import Servers
from servers import ask
from servers import get
from servers import post
from servers import scores
from texts import TOLERANCE
from texts import VARIED


def check_contracts_agree_in_our_names(servers: Servers) -> None:
    for contract in [score_messages, moderate, moderate_chat, classify, classify_chat, *OTHERS]:
        for text in VARIED:
            expect_agreement(contract, servers.url, text, scores(servers.url, text))


def check_contracts_agree_in_names_of_others(servers: Servers) -> None:
    namespaces = namespaces_of(servers.url)
    for model in NAMES_OF_MODELS:
        names = namespaces.get(namespace_of(model, namespaces))
        for contract in [moderate, moderate_chat, classify, classify_chat]:
            for text in VARIED:
                expected = translated(scores(servers.url, text), names)
                expect_agreement(contract, servers.url, text, expected, model=model)


def check_contracts_agree_in_attributes(servers: Servers) -> None:
    names = namespaces_of(servers.url)["perspective"]["names"]
    requested = {entry["name"]: {} for entry in names}
    for text in VARIED:
        body = {"comment": {"text": text}, "requestedAttributes": requested}
        found = ask(servers.url, "/v1alpha1/comments:analyze?key=unused", body)["attributeScores"]
        found = {name: each["summaryScore"]["value"] for name, each in found.items()}
        expected = translated(scores(servers.url, text), {"names": names})
        expect_same_scores(found, expected, TOLERANCE)


def check_contracts_agree_in_verdicts(servers: Servers) -> None:
    for text in VARIED:
        verdict = ask(servers.url, "/v1/score", {"input": text})["results"][0]
        violated = {id for id, each in verdict["categories"].items() if each["violated"]}
        result = ask(servers.url, "/v1/moderations", {"input": text})["results"][0]
        expect_equal("flagged", result["flagged"], verdict["flagged"])
        named = {id for id, is_violated in result["categories"].items() if is_violated}
        expect_equal("categories", named - {"self-harm"}, violated)
        found = post(servers.url, FMS, {"contents": [text]}, DETECTOR).body[0]
        expect_equal("detections", {each["detection_type"] for each in found}, violated)
        action = ask(servers.url, "/beta/litellm_basic_guardrail_api", {"texts": [text]})["action"]
        is_blocked = verdict["action"] in ("block", "report")
        expect_equal("action", action, "BLOCKED" if is_blocked else "NONE")


def check_models_lists_what_is_derived_and_uncovered(servers: Servers) -> None:
    for namespace in namespaces_of(servers.url).values():
        for relation in ["derived", "uncovered"]:
            names = [each["name"] for each in namespace["names"] if each["relation"] == relation]
            expect_equal(f"{relation} of {namespace['id']}", namespace[relation], names)
    newest = namespaces_of(servers.url)["mistral-2603"]
    expect_equal("uncovered", newest["uncovered"], ["jailbreaking"])


def score_messages(url: str, text: str) -> dict[str, float]:
    body = {"messages": [{"role": "user", "content": text}]}
    categories = ask(url, "/v1/score", body)["results"][0]["categories"]
    return {id: category["score"] for id, category in categories.items()}


def moderate(url: str, text: str, model: str | None = None) -> dict[str, float]:
    return moderation(ask(url, "/v1/moderations", {"model": model, "input": text}))


def moderate_chat(url: str, text: str, model: str | None = None) -> dict[str, float]:
    messages = [{"role": "user", "content": text}]
    return moderation(ask(url, "/v1/chat/moderations", {"model": model, "input": messages}))


def moderation(answer: Any) -> dict[str, float]:
    found = dict(answer["results"][0]["category_scores"])
    if "self_harm" in found:
        del found["self-harm"]  # a second spelling, for OpenAI's client
    return found


def classify(url: str, text: str, model: str | None = None) -> dict[str, float]:
    answer = ask(url, "/v1/classifications", {"model": model, "input": text})
    return answer["results"][0]["moderation"]["scores"]


def classify_chat(url: str, text: str, model: str | None = None) -> dict[str, float]:
    body = {"model": model, "input": {"messages": [{"role": "user", "content": text}]}}
    answer = ask(url, "/v1/chat/classifications", body)
    return answer["results"][0]["moderation"]["scores"]


def vllm(url: str, text: str) -> dict[str, float]:
    probs = ask(url, "/classify", {"input": text})["data"][0]["probs"]
    return dict(zip(CATEGORIES, probs, strict=True))


def tei(url: str, text: str) -> dict[str, float]:
    return labelled(ask(url, "/predict", {"inputs": text}))


def hugging_face(url: str, text: str) -> dict[str, float]:
    return labelled(ask(url, f"/models/{MODEL}", {"inputs": text})[0])


def labelled(labels: Any) -> dict[str, float]:
    return {label["label"]: label["score"] for label in labels}


def kserve_v1(url: str, text: str) -> dict[str, float]:
    return ask(url, f"/v1/models/{MODEL}:predict", {"instances": [text]})["predictions"][0]


def kserve_v2(url: str, text: str) -> dict[str, float]:
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    outputs = ask(url, f"/v2/models/{MODEL}/infer", {"inputs": [tensor]})["outputs"]
    data = {output["name"]: output["data"] for output in outputs}
    return dict(zip(data["labels"], data["scores"], strict=True))


def fms(url: str, text: str) -> dict[str, float]:
    body = {"contents": [text], "detector_params": {"threshold": 0.0}}
    return {each["detection_type"]: each["score"] for each in ask(url, FMS, body, DETECTOR)[0]}


def namespaces_of(url: str) -> dict[str, Any]:
    (policy,) = get(url, "/v1/models").body["data"][0]["policies"]
    return {namespace["id"]: namespace for namespace in policy["namespaces"]}


def namespace_of(model: str, namespaces: dict[str, Any]) -> str | None:
    """The namespace that lists the model, the first of them if several do."""
    for id, namespace in namespaces.items():
        for pattern in namespace["models"]:
            start = pattern.removesuffix("*")
            if model == pattern or start != pattern and model.startswith(start):
                return id
    return None


def translated(ours: dict[str, float], namespace: dict[str, Any] | None) -> dict[str, float]:
    """Our scores under the names of others: the highest of what stands for each."""
    if namespace is None:
        return ours
    return {
        entry["name"]: max((ours[id] for id in entry.get("from", [])), default=0.0)
        for entry in namespace["names"]
    }


def expect_agreement(
    contract: Callable[..., dict[str, float]],
    url: str,
    text: str,
    expected: dict[str, float],
    **terms: Any,
) -> None:
    try:
        expect_same_scores(contract(url, text, **terms), expected, TOLERANCE)
    except AssertionError as error:
        raise AssertionError(f"{contract.__name__} {terms} of {text!r}: {error}") from None


FMS = "/api/v1/text/contents"
DETECTOR = {"detector-id": "moderato"}
OTHERS = [vllm, tei, hugging_face, kserve_v1, kserve_v2, fms]

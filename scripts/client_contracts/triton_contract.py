"""Triton's client over HTTP: the Open Inference Protocol with tensors in JSON."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from tritonclient.http import InferenceServerClient
from tritonclient.http import InferInput
from tritonclient.http import InferRequestedOutput
from tritonclient.utils import InferenceServerException

from categories import CATEGORIES
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_matches
from expect import expect_told_apart
from expect import refusal
from servers import MODEL
from servers import Servers
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER


def check_triton_health(servers: Servers) -> None:
    triton = client(servers.url)
    expect("the server is live", triton.is_server_live())
    expect("the server is ready", triton.is_server_ready())
    expect("the model is ready", triton.is_model_ready(MODEL))
    expect("an unknown model is not ready", not triton.is_model_ready("other"))


def check_triton_metadata(servers: Servers) -> None:
    triton = client(servers.url)
    expect_equal("server", triton.get_server_metadata()["name"], "moderato")
    model = triton.get_model_metadata(MODEL)
    expect_equal("name", model["name"], MODEL)
    expect_matches("version", model["versions"][0], "[0-9a-f]{12}")
    expect_equal("inputs", tensors(model["inputs"]), {"text": "BYTES"})
    outputs = tensors(model["outputs"])
    expect_equal("scores and labels", (outputs["scores"], outputs["labels"]), ("FP32", "BYTES"))
    expect("an unknown model has none", status(partial(triton.get_model_metadata, "other")) == 404)


def check_triton_infer(servers: Servers) -> None:
    answer = infer(servers.url, [HARMFUL, HARMLESS], outputs=wanted("scores", "labels"))
    labels, scores = answer.as_numpy("labels"), answer.as_numpy("scores")
    expect_equal("labels", labels.tolist(), CATEGORIES)
    expect_equal("shape", scores.shape, (2, len(CATEGORIES)))
    expect_equal("type", scores.dtype, np.float32)
    expect_told_apart(*scores[:, CATEGORIES.index(VIOLATED)].tolist())
    expect_equal("request id", answer.get_response()["id"], "request-7")


def check_triton_infer_all_outputs(servers: Servers) -> None:
    """Without a list of outputs the client asks for binary ones; JSON is what it gets."""
    answer = infer(servers.url, [HARMFUL, HARMLESS])
    expect_equal("shape", answer.as_numpy("scores").shape, (2, len(CATEGORIES)))
    expect_equal("flagged", answer.as_numpy("flagged").tolist(), [True, False])


def check_triton_infer_one_output(servers: Servers) -> None:
    answer = infer(servers.url, [HARMFUL], outputs=wanted("labels"))
    expect_equal("outputs", tensors(answer.get_response()["outputs"]), {"labels": "BYTES"})


def check_triton_infer_a_column_of_texts(servers: Servers) -> None:
    """Triton's models that batch have the shape [texts, 1]."""
    answer = infer(servers.url, [HARMFUL, HARMLESS], shape=[2, 1])
    expect_equal("shape", answer.as_numpy("scores").shape, (2, len(CATEGORIES)))


def check_triton_binary_input_is_refused(servers: Servers) -> None:
    error = failure(partial(infer, servers.url, [HARMFUL], binary=True))
    expect(f"{error.status()} is 400 or 415", error.status() in ("400", "415"))
    expect(f"{error.message()!r} says that JSON is spoken", "JSON" in error.message())


def check_triton_blank_text_scores_zero(servers: Servers) -> None:
    answer = infer(servers.url, [""]).as_numpy("scores")
    expect_equal("highest score", float(answer.max()), 0)


def check_triton_maps_errors(servers: Servers) -> None:
    harmful = partial(infer, servers.url, [HARMFUL])
    expect_equal("unknown model", status(partial(harmful, model="other")), 404)
    outputs = wanted("scores", "logits")
    expect_equal("unknown output", status(partial(harmful, outputs=outputs)), 400)
    expect_equal("too large a body", status(partial(infer, servers.tight, [LARGER])), 413)
    with servers.full_queue():
        expect_equal("full queue", status(partial(infer, servers.tight, [LARGE])), 503)


def client(url: str) -> InferenceServerClient:
    return InferenceServerClient(url.removeprefix("http://"), network_timeout=60)


def infer(
    url: str,
    texts: list[str],
    shape: list[int] | None = None,
    outputs: list[InferRequestedOutput] | None = None,
    model: str = MODEL,
    binary: bool = False,
) -> Any:
    shape = shape or [len(texts)]
    tensor = InferInput("text", shape, "BYTES")
    values = np.array([text.encode() for text in texts], dtype=np.object_).reshape(shape)
    tensor.set_data_from_numpy(values, binary_data=binary)
    triton = client(url)
    return triton.infer(model, [tensor], outputs=outputs, request_id="request-7")


def wanted(*names: str) -> list[InferRequestedOutput]:
    return [InferRequestedOutput(name, binary_data=False) for name in names]


def tensors(described: list[dict[str, Any]]) -> dict[str, str]:
    return {tensor["name"]: tensor["datatype"] for tensor in described}


def failure(call: Any) -> InferenceServerException:
    return refusal(InferenceServerException, call)


def status(call: Any) -> int:
    return int(failure(call).status())

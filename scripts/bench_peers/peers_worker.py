"""One of the peers: a process that measures what it is told to.

    peers_worker.py CONTESTANT MODEL_FOLDER ONNX_FOLDER THREADS

Reads one command a line from stdin and writes one answer a line to stdout, both JSON; its
counterpart for moderato is benches/peers. Only the library that is measured is imported, so
that the time to load and the memory are those of its users.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Encoding
from tokenizers import Tokenizer

Ids = np.ndarray  # (window, token)
Forward = Callable[[Ids, "np.ndarray | None"], np.ndarray]

TEXTS_PER_BATCH = 32
MAX_TOKENS = 512
PADDING = 0  # [PAD] of BERT's vocabulary, and masked


def main() -> None:
    """Answers commands until stdin ends; the first line says that the model is ready."""
    contestant, model, onnx = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    threads = int(sys.argv[4])
    if contestant.startswith("pytorch-"):
        forward = load_pytorch(model, contestant.removeprefix("pytorch-"), threads)
    else:
        forward = load_onnxruntime(onnx, contestant.removeprefix("onnxruntime-"), threads)
    worker = Worker(forward, load_tokenizer(model))
    worker.forward(np.full((1, 16), 1000, dtype=np.int64), None)  # as moderato does
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.run(**json.loads(line))), flush=True)


def load_pytorch(folder: Path, attention: str, threads: int) -> Forward:
    """transformers' model in inference mode."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=attention
    ).eval()

    def forward(ids: Ids, mask: np.ndarray | None) -> np.ndarray:
        with torch.inference_mode():
            masked = None if mask is None else torch.from_numpy(mask)
            return model(input_ids=torch.from_numpy(ids), attention_mask=masked).logits.numpy()

    return forward


def load_onnxruntime(folder: Path, dtype: str, threads: int) -> Forward:
    """The faster graph in a session with every optimisation.

    Its threads spin while it works, which is its default and its fastest. They are told to sleep
    when it has answered, so that it takes nothing from the others.
    """
    import onnxruntime

    choice = json.loads((folder / "choice.json").read_text())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    file = str(folder / choice[dtype]["file"])
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def forward(ids: Ids, mask: np.ndarray | None) -> np.ndarray:
        ones = np.ones_like(ids) if mask is None else mask
        return session.run(None, {"input_ids": ids, "attention_mask": ones})[0]

    return forward


def load_tokenizer(folder: Path) -> Tokenizer:
    """The fast tokenizer itself, without transformers' wrapper, which only adds to its time."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


class Worker:
    """A model, its tokenizer, and what they are measured on."""

    def __init__(self, forward: Forward, tokenizer: Tokenizer) -> None:
        self.forward = forward
        self.tokenizer = tokenizer
        self.shapes: dict[str, Ids] = {}
        self.texts: list[str] = []

    def run(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Does what it is told; times are in seconds."""
        return getattr(self, "do_" + do)(**arguments)

    def do_load_ids(self, shape: str, ids: list[list[int]]) -> dict[str, Any]:
        self.shapes[shape] = np.array(ids, dtype=np.int64)
        return {}

    def do_load_texts(self, texts: list[str]) -> dict[str, Any]:
        self.texts = texts
        return {}

    def do_logits(self, shape: str) -> dict[str, Any]:
        return {"logits": self.forward(self.shapes[shape], None).tolist()}

    def do_uniform(self, shape: str, repeats: int) -> dict[str, Any]:
        ids = self.shapes[shape]
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            self.forward(ids, None)
            seconds.append(time.perf_counter() - start)
        return {"seconds": seconds}

    def do_serving(self) -> dict[str, Any]:
        """Batches in arrival order, each padded to its longest text."""
        start = time.perf_counter()
        n_tokens = 0
        for first in range(0, len(self.texts), TEXTS_PER_BATCH):
            batch = self.texts[first : first + TEXTS_PER_BATCH]
            encodings = self.tokenizer.encode_batch_fast(batch)
            n_tokens += sum(len(encoding) for encoding in encodings)
            self.forward(*pad(encodings))
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "n_texts": len(self.texts), "n_tokens": n_tokens}

    def do_bulk(self) -> dict[str, Any]:
        """Batches of texts of about the same length: all are tokenised, then sorted."""
        start = time.perf_counter()
        encodings = self.tokenizer.encode_batch_fast(self.texts)
        order = sorted(range(len(encodings)), key=lambda row: len(encodings[row]))
        logits: list[np.ndarray | None] = [None] * len(encodings)
        for first in range(0, len(order), TEXTS_PER_BATCH):
            rows = order[first : first + TEXTS_PER_BATCH]
            scored = self.forward(*pad([encodings[row] for row in rows]))
            for row, scores in zip(rows, scored, strict=True):
                logits[row] = scores
        seconds = time.perf_counter() - start
        n_tokens = sum(len(encoding) for encoding in encodings)
        return {"seconds": seconds, "n_texts": len(logits), "n_tokens": n_tokens}


def pad(encodings: list[Encoding]) -> tuple[Ids, np.ndarray]:
    """Token ids and mask, (window, token), as long as the longest."""
    length = max(len(encoding) for encoding in encodings)
    ids = np.full((len(encodings), length), PADDING, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, encoding in enumerate(encodings):
        ids[row, : len(encoding)] = encoding.ids
        mask[row, : len(encoding)] = 1
    return ids, mask


if __name__ == "__main__":
    main()

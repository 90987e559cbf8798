"""The model as ONNX, in f32 and int8: the faster of two graphs of each.

    onnx_models.py MODEL_FOLDER OUTPUT_FOLDER THREADS

`plain` is what torch exports, which ONNX Runtime fuses by itself when it loads it (all its
optimisations are on); `fused` has gone through onnxruntime.transformers.optimizer before. Which
of the two is faster depends on the version and the machine, so both are timed here, in turns.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.transformers import optimizer
from transformers import AutoModelForSequenceClassification

OPSET = 20
# A little of everything that is measured later: windows, tokens of each.
SHAPES = [(1, 128), (32, 32), (32, 128), (8, 512)]
ROUNDS = 5


def main() -> None:
    """Writes the files and, last of all, choice.json."""
    model, folder, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    warnings.filterwarnings("ignore")  # of the tracer, about branches that the shapes do not take
    plain, fused = folder / "plain.onnx", folder / "fused.onnx"
    export(model, plain)
    fuse(model, plain, fused)
    choice = {}
    for dtype in ("f32", "int8"):
        files = {"plain": plain, "fused": fused}
        if dtype == "int8":
            files = {name: quantise(file) for name, file in files.items()}
        seconds = compare(files, threads)
        graph = min(seconds, key=seconds.__getitem__)
        choice[dtype] = {
            "graph": graph,
            "file": files[graph].name,
            "relative_seconds": {name: round(each, 3) for name, each in seconds.items()},
        }
    (folder / "choice.json").write_text(json.dumps(choice))


def export(folder: Path, out: Path) -> None:
    """The model with any number of windows of any length; padding is masked."""
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    model.config.return_dict = False
    ids = torch.full((2, 16), 1000)
    axes = {0: "batch", 1: "length"}
    with torch.no_grad():
        torch.onnx.export(
            model,
            (ids, torch.ones_like(ids)),
            str(out),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "logits": {0: "batch"}},
            opset_version=OPSET,
            # The optimiser knows the attention of these graphs; of torch's newer exporter it
            # fuses only the rest.
            dynamo=False,
        )


def fuse(folder: Path, source: Path, out: Path) -> None:
    """Attention, embeddings, GELU and layer norms as one node each."""
    config = json.loads((folder / "config.json").read_text())
    optimised = optimizer.optimize_model(
        str(source),
        model_type="bert",
        num_heads=config["num_attention_heads"],
        hidden_size=config["hidden_size"],
        opt_level=1,
    )
    optimised.save_model_to_file(str(out))


def quantise(source: Path) -> Path:
    """Weights per output channel, activations as they come."""
    out = source.with_name(source.stem + "-int8.onnx")
    quantize_dynamic(
        source,
        out,
        per_channel=True,
        weight_type=QuantType.QInt8,
        # Fused nodes are not in the standard, so shape inference cannot tell what they give.
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    return out


def session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    """A session with every optimisation, on so many threads."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


def compare(files: dict[str, Path], threads: int) -> dict[str, float]:
    """Seconds of each file relative to the first, the mean over the shapes of median ratios."""
    sessions = {name: session(file, threads) for name, file in files.items()}
    ratios: dict[str, list[float]] = {name: [] for name in files}
    for n_windows, n_tokens in SHAPES:
        ids = np.full((n_windows, n_tokens), 1000, dtype=np.int64)
        feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        seconds: dict[str, list[float]] = {name: [] for name in files}
        for _ in range(ROUNDS + 1):  # the first warms up
            for name, each in sessions.items():
                start = time.perf_counter()
                each.run(None, feed)
                seconds[name].append(time.perf_counter() - start)
        medians = {name: statistics.median(each[1:]) for name, each in seconds.items()}
        first = next(iter(medians.values()))
        for name, median in medians.items():
            ratios[name].append(median / first)
    return {name: statistics.mean(each) for name, each in ratios.items()}


if __name__ == "__main__":
    main()

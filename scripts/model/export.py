"""Makes a model folder to serve: F16 weights, a plain tokenizer, calibration, policy, self-test.

    python3 scripts/model/export.py --model WEIGHTS --output FOLDER

The model has been through train.py and calibrate.py. The self-test is texts with the scores that
their labels must have: here they are computed by transformers and numpy from the F16 weights, and
moderato refuses to serve a folder whose texts it scores differently. --self-test has texts of your
own, as JSON lines with "text".
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification

from calibrate import Platt, read_labels
from prepare import plain_tokenizer

TOLERANCE = 0.02  # int8 may differ by so much; f32 does by far less
DIGITS = 6
TEXTS = [
    "Good morning! The tea is ready.",
    "My order has not arrived yet. Can you tell me where it is?",
    "You are an idiot and nobody wants you here.",
]


def main() -> None:
    """Copies, rounds, computes, writes."""
    arguments = parse_arguments()
    model, output = arguments.model, arguments.output
    output.mkdir(parents=True, exist_ok=True)
    config = json.loads((model / "config.json").read_text())
    config = {key: it for key, it in config.items() if key not in ("_name_or_path", "dtype")}
    config["dtype"] = "float16"
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = load_file(model / "model.safetensors")
    halves = {name: tensor.to(torch.float16).contiguous() for name, tensor in weights.items()}
    save_file(halves, output / "model.safetensors", metadata={"format": "pt"})
    tokenizer = plain_tokenizer(model)
    tokenizer.save(str(output / "tokenizer.json"))
    for name in ("tokenizer_config.json", "calibration.json", "policy.toml", "settings.toml"):
        shutil.copyfile(model / name, output / name)
    texts = TEXTS
    if arguments.self_test:
        texts = [json.loads(line)["text"] for line in arguments.self_test.read_text().splitlines()]
    lines = self_test(output, tokenizer, texts)
    (output / "self_test.jsonl").write_text("".join(line + "\n" for line in lines))
    size = (output / "model.safetensors").stat().st_size
    print(f"wrote {output}, {size / 1e6:.1f} MB of weights, {len(lines)} texts to test itself")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FOLDER", help="by train.py and calibrate.py")
    add("--self-test", type=Path, metavar="FILE", help="JSON lines, instead of three plain texts")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    return parser.parse_args()


def self_test(folder: Path, tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    """Lines with the scores of short texts, by label."""
    labels = read_labels(folder / "config.json")
    fitted = json.loads((folder / "calibration.json").read_text())["labels"]
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    lines = []
    for text in texts:
        tokens = torch.tensor([tokenizer.encode(text).ids])
        with torch.inference_mode():
            logits = model(input_ids=tokens).logits[0].double().numpy()
        scores = {}
        for label, logit in zip(labels, logits, strict=True):
            platt = Platt(**fitted[label])
            scores[label] = round(float(platt.probabilities(np.array(logit))), DIGITS)
        line = {"text": text, "scores": scores, "tolerance": TOLERANCE}
        lines.append(json.dumps(line, ensure_ascii=False))
    return lines


if __name__ == "__main__":
    main()

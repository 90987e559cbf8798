"""Makes one model of several that were trained alike with other seeds: the mean of their weights.

    python3 scripts/model/average.py --model WEIGHTS --model WEIGHTS --output WEIGHTS

Runs that began with the same encoder end near enough to each other for the mean to be a model, and
mostly a better one than each (M. Wortsman et al., "Model soups", ICML 2022). Their heads begin at
other random weights and are averaged too. The output is a folder as train.py writes it.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

import settings as settings_file


def main() -> None:
    """Reads, averages, writes."""
    arguments = parse_arguments()
    first, output = arguments.model[0], arguments.output
    check_alike(arguments.model)
    models = [load_file(folder / "model.safetensors") for folder in arguments.model]
    if any(shapes(model) != shapes(models[0]) for model in models):
        raise SystemExit("average.py: expected models of one shape")
    mean = {name: torch.stack([model[name] for model in models]).mean(dim=0) for name in models[0]}
    output.mkdir(parents=True, exist_ok=True)
    save_file(mean, output / "model.safetensors", metadata={"format": "pt"})
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "settings.toml"):
        shutil.copyfile(first / name, output / name)
    runs = [json.loads((folder / "training.json").read_text()) for folder in arguments.model]
    positive = np.mean([run["positive_weights"] for run in runs], axis=0)
    training = {"positive_weights": positive.tolist(), "averaged": runs}
    (output / "training.json").write_text(json.dumps(training, indent=1) + "\n")
    print(f"wrote {output}, the mean of {len(models)} models")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, action="append", metavar="FOLDER", help="by train.py")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    return parser.parse_args()


def check_alike(folders: list[Path]) -> None:
    """Ends the program unless all have the same labels in the same order."""
    known = {settings_file.read(folder / "settings.toml").labels for folder in folders}
    if len(known) != 1:
        raise SystemExit("average.py: expected models of the same labels")


def shapes(model: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    """Of each tensor."""
    return {name: tensor.shape for name, tensor in model.items()}


if __name__ == "__main__":
    main()

"""How weights move: AdamW, and how fast at which step."""

import re

import torch
from transformers import PreTrainedModel

from settings import Train


def make(model: PreTrainedModel, train: Train) -> torch.optim.Optimizer:
    """AdamW with smaller steps for lower layers; biases and norms do not decay."""
    n_layers = model.config.num_hidden_layers
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        found = re.search(r"\.(?:layer|layers)\.(\d+)\.", name)
        depth = int(found[1]) + 1 if found else (0 if "embeddings" in name else n_layers + 1)
        scale = train.layer_decay ** (n_layers + 1 - depth)
        decay = train.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((scale, decay), []).append(parameter)
    made = [
        {"params": parameters, "scale": scale, "weight_decay": decay}
        for (scale, decay), parameters in groups.items()
    ]
    return torch.optim.AdamW(made, lr=train.learning_rate, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, train: Train, progress: float) -> None:
    """Up in a line while it warms up, then down in a line to the last rate."""
    up = progress / max(train.warmup, 1e-9)
    left = (1 - progress) / (1 - train.warmup)
    down = train.last_rate + (1 - train.last_rate) * left
    for group in optimizer.param_groups:
        group["lr"] = train.learning_rate * group["scale"] * min(up, down, 1.0)

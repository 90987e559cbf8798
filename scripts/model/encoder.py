"""The model, as transformers has it: made, run over a prepared set, saved."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from prepared import Prepared
from settings import Train

MOST_TOKENS_AT_ONCE = 8192
LENGTH_STEP = 16  # tokens; products of a new shape cost far more than those of one seen before


def make(
    base: Path, names: list[str], train: Train, device: torch.device
) -> PreTrainedModel:
    """A model with a new head on a base's encoder; the base itself if it has these labels."""
    labels = dict(enumerate(names))
    config = AutoConfig.from_pretrained(
        base,
        num_labels=len(names),
        id2label=labels,
        label2id={label: col for col, label in labels.items()},
        problem_type="multi_label_classification",
        hidden_dropout_prob=train.dropout,
        attention_probs_dropout_prob=train.attention_dropout,
    )
    return AutoModelForSequenceClassification.from_pretrained(
        base,
        config=config,
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
        # Fused attention in bf16 has a slow way back on a CPU: a step takes half as long again.
        attn_implementation="eager" if device.type == "cpu" else "sdpa",
    )


def save(model: PreTrainedModel, base: Path, folder: Path) -> None:
    """An ordinary folder, in f32, with the base's tokenizer."""
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / name, folder / name)


def collate(
    prepared: Prepared, rows: np.ndarray, max_tokens: int, padding: int
) -> dict[str, torch.Tensor]:
    """Rows padded to a little more than the longest of them, with the id `padding`; (row, token)."""
    found = [prepared.row(int(row), max_tokens) for row in rows]
    longest = min(-(-max(map(len, found)) // LENGTH_STEP) * LENGTH_STEP, max_tokens)
    ids = np.full((len(found), longest), padding, dtype=np.int64)
    mask = np.zeros((len(found), longest), dtype=np.int64)
    for place, row in enumerate(found):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def in_precision(precision: str, device: torch.device) -> torch.autocast:
    """Products in bfloat16, or as they are."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def padding_of(model: PreTrainedModel) -> int:
    """The id that its encoder pads with."""
    return model.config.pad_token_id or 0


def logits(
    model: PreTrainedModel,
    prepared: Prepared,
    rows: np.ndarray,
    max_tokens: int,
    precision: str = "f32",
) -> np.ndarray:
    """Logits (row, label) of some rows, in their order; the precision is that of a `Train`."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    found = np.empty((len(rows), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode():
        for places in by_length(prepared.lengths()[rows], max_tokens):
            inputs = collate(prepared, rows[places], max_tokens, padding_of(model))
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
            with in_precision(precision, device):
                found[places] = model(**inputs).logits.float().cpu().numpy()
    model.train(was_training)
    return found


def by_length(lengths: np.ndarray, max_tokens: int) -> Iterator[np.ndarray]:
    """Places of rows of nearly the same length, as many as fit."""
    lengths = np.minimum(lengths, max_tokens)
    batch: list[int] = []
    for place in np.argsort(-lengths, kind="stable"):
        if batch and (len(batch) + 1) * lengths[batch[0]] > MOST_TOKENS_AT_ONCE:
            yield np.array(batch)
            batch = []
        batch.append(int(place))
    if batch:
        yield np.array(batch)


def positive_weights(folder: Path) -> np.ndarray:
    """What positives weighed when a folder's model was trained, by label."""
    return np.array(json.loads((folder / "training.json").read_text())["positive_weights"])

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


def make(
    base: Path, categories: list[str], train: Train, device: torch.device
) -> PreTrainedModel:
    """A model with a new head on a base's encoder; the base itself if it has these labels."""
    labels = dict(enumerate(categories))
    config = AutoConfig.from_pretrained(
        base,
        num_labels=len(categories),
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


def collate(prepared: Prepared, rows: np.ndarray, max_tokens: int) -> dict[str, torch.Tensor]:
    """Rows padded to the longest of them; (row, token)."""
    found = [prepared.row(int(row), max_tokens) for row in rows]
    longest = max(len(ids) for ids in found)
    ids = np.zeros((len(found), longest), dtype=np.int64)
    mask = np.zeros((len(found), longest), dtype=np.int64)
    for place, row in enumerate(found):
        ids[place, : len(row)] = row
        mask[place, : len(row)] = 1
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def logits(
    model: PreTrainedModel, prepared: Prepared, rows: np.ndarray, max_tokens: int
) -> np.ndarray:
    """Logits (row, category) of some rows, in their order."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    found = np.empty((len(rows), model.config.num_labels), dtype=np.float32)
    with torch.inference_mode():
        for places in by_length(prepared.lengths()[rows], max_tokens):
            inputs = collate(prepared, rows[places], max_tokens)
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
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
    """What positives weighed when a folder's model was trained, by category."""
    return np.array(json.loads((folder / "training.json").read_text())["positive_weights"])

"""What is made small: cross-entropy over the labels that are known, with weights for positives."""

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

import prepared as prepared_set
from rows import UNKNOWN
from settings import Train


def cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, positive: torch.Tensor, smoothing: float
) -> torch.Tensor:
    """Binary cross-entropy over the labels that are known; logits and target are (row, label),
    positive is (label)."""
    is_known = target != UNKNOWN
    target = target.clamp(smoothing / 2, 1 - smoothing / 2)
    each = binary_cross_entropy_with_logits(logits, target, pos_weight=positive, reduction="none")
    return (each * is_known).sum() / is_known.sum().clamp(min=1)


def positive_weights(targets: np.ndarray, row_weights: np.ndarray, train: Train) -> np.ndarray:
    """How much a positive label weighs, by label."""
    weight = row_weights[:, None] * prepared_set.known(targets)
    positives = (weight * targets.clip(0)).sum(axis=0)
    negatives = weight.sum(axis=0) - positives
    ratio = negatives / np.maximum(positives, 1e-6)
    return np.clip(ratio**train.positive_power, 1.0, train.most_positive_weight)

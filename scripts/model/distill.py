"""Makes an encoder of fewer layers out of one of more: each layer learns what a layer of the teacher
says of the same tokens.

    python3 scripts/model/distill.py --settings SETTINGS --prepared PREPARED \\
        --teacher E5 --output STUDENT

The student begins with the embeddings of the teacher and with the layers that [distill] names. The
loss is the mean squared difference between the hidden states of each of its layers and of the
teacher's layer that it stands for (S. Sun et al., "Patient knowledge distillation for BERT model
compression", EMNLP 2019, without the labels). No label is read. Writes a checkpoint into the output
folder every few minutes; the same command goes on from there. At the end the folder holds an
ordinary encoder in f32, and distillation.json with the losses of the first and the last steps.
"""

import argparse
import copy
import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, PreTrainedModel

import batch_order
import checkpoint as checkpoints
import encoder
import optimizer
import prepared as prepared_set
import settings as settings_file
from prepared import Prepared
from settings import Distill, Settings, Train

REPORT_SECONDS = 30
STEPS_TOLD = 20  # of the first and of the last steps, the mean loss is told


@dataclass
class Run:
    """How far it is."""

    teacher: PreTrainedModel
    student: PreTrainedModel
    optimizer: torch.optim.Optimizer
    losses: list[list[float]] = field(default_factory=list)  # (step, layer)


def main() -> None:
    """Makes the student, or goes on with it."""
    arguments = parse_arguments()
    settings = settings_file.read(arguments.settings)
    torch.set_num_threads(arguments.threads)
    texts = prepared_set.load(arguments.prepared, arguments.set)
    teacher = AutoModel.from_pretrained(
        arguments.teacher, dtype=torch.float32, attn_implementation="eager",
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    ).eval()
    train = as_train(settings)
    student = first_student(teacher, settings.distill)
    run = Run(teacher, student, optimizer.make(student, train))
    checkpoint = arguments.output / "checkpoint.pt"
    stamp = prepared_set.fingerprint(texts, settings_file.to_toml(settings))
    arguments.output.mkdir(parents=True, exist_ok=True)
    resume(run, checkpoint, stamp)
    loop(run, texts, settings, train, checkpoint, stamp, arguments)
    encoder.save(run.student, arguments.teacher, arguments.output)
    parts = {"first": run.losses[:STEPS_TOLD], "last": run.losses[-STEPS_TOLD:]}
    told = {name: np.mean(part, axis=0).tolist() for name, part in parts.items()}
    told = {"steps": len(run.losses), "loss of each layer": told}
    (arguments.output / "distillation.json").write_text(json.dumps(told, indent=1) + "\n")
    checkpoint.unlink(missing_ok=True)
    print(f"wrote {arguments.output}")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--settings", type=Path, required=True, metavar="FILE", help="TOML")
    add("--prepared", type=Path, required=True, metavar="FOLDER", help="by prepare.py")
    add("--set", default="train", metavar="NAME", help="set to read (default: %(default)s)")
    add("--teacher", type=Path, required=True, metavar="FOLDER", help="with a tokenizer")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    add("--threads", type=int, default=torch.get_num_threads(), metavar="N")
    add("--checkpoint-minutes", type=float, default=4, metavar="N")
    return parser.parse_args()


def as_train(settings: Settings) -> Train:
    """What it has in common with a training on labels."""
    distill, train = settings.distill, settings.train
    return Train(
        seed=train.seed, epochs=distill.epochs, rows_per_step=distill.rows_per_step,
        max_tokens=distill.max_tokens, learning_rate=distill.learning_rate, warmup=distill.warmup,
        weight_decay=distill.weight_decay, precision=train.precision, weights=distill.weights,
    )


def first_student(teacher: PreTrainedModel, distill: Distill) -> PreTrainedModel:
    """A copy of the teacher with some of its layers."""
    n_layers = teacher.config.num_hidden_layers
    if not distill.layers or not all(1 <= it <= n_layers for it in distill.layers):
        raise SystemExit(f"distill.py: expected [distill] layers, from 1 to {n_layers}")
    student = copy.deepcopy(teacher)
    layers = [student.encoder.layer[it - 1] for it in distill.layers]
    student.encoder.layer = torch.nn.ModuleList(layers)
    student.config.num_hidden_layers = len(layers)
    return student.train()


def loop(
    run: Run, texts: Prepared, settings: Settings, train: Train, checkpoint: Path,
    stamp: str, arguments: argparse.Namespace,
) -> None:
    """Step after step, from wherever the run is."""
    weights = texts.weights(train)
    lengths = np.minimum(texts.lengths(), train.max_tokens)
    n_steps = max(1, round(batch_order.rows_an_epoch(weights) * train.epochs / train.rows_per_step))
    began = reported = saved = time.monotonic()
    first_step = reported_step = len(run.losses)
    while len(run.losses) < n_steps:
        rows = batch_order.rows_of(len(run.losses), lengths, weights, train)
        optimizer.set_rates(run.optimizer, train, len(run.losses) / n_steps)
        run.losses.append(step(run, texts, rows, settings.distill, train))
        now = time.monotonic()
        if now - reported > REPORT_SECONDS:
            n_done = len(run.losses)
            left = (now - began) / (n_done - first_step) * (n_steps - n_done)
            each = " ".join(f"{it:.4f}" for it in np.mean(run.losses[reported_step:], axis=0))
            print(f"step {n_done}/{n_steps}  {each}  {left / 60:.0f} min left", flush=True)
            reported, reported_step = now, n_done
        if now - saved > arguments.checkpoint_minutes * 60:
            save(run, checkpoint, stamp)
            saved = now


def step(
    run: Run, texts: Prepared, rows: np.ndarray, distill: Distill, train: Train
) -> list[float]:
    """One batch; returns the loss of each layer."""
    inputs = encoder.collate(texts, rows, train.max_tokens, encoder.padding_of(run.teacher))
    mask = inputs["attention_mask"].bool()
    with encoder.in_precision(train.precision, torch.device("cpu")):
        with torch.no_grad():
            said = run.teacher(**inputs, output_hidden_states=True).hidden_states
        learnt = run.student(**inputs, output_hidden_states=True).hidden_states
    # The first hidden states are those of the embeddings.
    losses = [
        torch.nn.functional.mse_loss(now[mask].float(), said[layer][mask].float())
        for now, layer in zip(learnt[1:], distill.layers, strict=True)
    ]
    run.optimizer.zero_grad(set_to_none=True)
    sum(losses).backward()
    torch.nn.utils.clip_grad_norm_(run.student.parameters(), train.clip)
    run.optimizer.step()
    return [float(it.detach()) for it in losses]


def save(run: Run, checkpoint: Path, stamp: str) -> None:
    """Writes how far it is."""
    state = {"student": run.student.state_dict(), "optimizer": run.optimizer.state_dict()}
    checkpoints.save(checkpoint, stamp, state | {"losses": run.losses})


def resume(run: Run, checkpoint: Path, stamp: str) -> None:
    """Goes on from a checkpoint, if there is one of the same task."""
    state = checkpoints.load(checkpoint, stamp)
    if state is None:
        return
    run.student.load_state_dict(state["student"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.losses = state["losses"]
    print(f"goes on from step {len(run.losses)}")


if __name__ == "__main__":
    main()

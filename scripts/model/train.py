"""Trains a model on a prepared set, and goes on where it was stopped.

    python3 scripts/model/train.py --settings scripts/model/moderato-small.toml \\
        --prepared PREPARED --base BASE --output WEIGHTS

Writes a checkpoint into the output folder every few minutes; the same command goes on from there
and ends with the same weights as if it had not been stopped. At the end the folder holds an
ordinary model of transformers in f32, settings.toml and training.json with the figures on the way.
"""

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel

import batch_order
import checkpoint as checkpoints
import encoder
import optimizer
import prepared as prepared_set
import settings as settings_file
from loss import cross_entropy, positive_weights
from metrics import summary
from prepared import Prepared
from rows import ENGLISH
from settings import Settings, Train

AVERAGE_EVERY = 4  # steps; each time costs as much as a tenth of a step
MOST_DEVELOPMENT_TOKENS = 512
REPORT_SECONDS = 30
OTHERS = "other languages: "


@dataclass(frozen=True)
class Task:
    """What there is to do."""

    settings: Settings
    train_set: Prepared
    row_weights: np.ndarray  # (row)
    positive_weights: np.ndarray  # (label)
    development: Prepared

    @property
    def train(self) -> Train:
        """How."""
        return self.settings.train

    def n_steps(self) -> int:
        """Of the whole run."""
        n_rows = batch_order.rows_an_epoch(self.row_weights) * self.train.epochs
        return max(1, round(n_rows / self.train.rows_per_step))


@dataclass
class Run:
    """How far it is; all of it is in a checkpoint."""

    model: PreTrainedModel
    average: dict[str, torch.Tensor]
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    history: list[dict] = dataclasses.field(default_factory=list)


def main() -> None:
    """Trains to the end, or to the next stop."""
    arguments = parse_arguments()
    settings = settings_file.read(arguments.settings)
    if arguments.seed is not None:
        train = dataclasses.replace(settings.train, seed=arguments.seed)
        settings = dataclasses.replace(settings, train=train)
    task = make_task(settings, arguments)
    device = torch.device(arguments.device)
    torch.set_num_threads(arguments.threads)

    torch.manual_seed(settings.train.seed)
    model = encoder.make(arguments.base, list(settings.labels), settings.train, device)
    model.to(device).train()
    run = Run(model, copy(model), optimizer.make(model, settings.train))
    print_task(task)
    stamp = fingerprint(task)
    checkpoint = arguments.output / "checkpoint.pt"
    arguments.output.mkdir(parents=True, exist_ok=True)
    resume(run, checkpoint, stamp)
    loop(run, task, checkpoint, stamp, arguments)

    model.load_state_dict(run.average)
    encoder.save(model, arguments.base, arguments.output)
    (arguments.output / "settings.toml").write_text(settings_file.to_toml(settings))
    training = {
        "rows": len(task.train_set),
        "steps": run.step,
        "seconds": round(run.seconds),
        "positive_weights": task.positive_weights.tolist(),
        "history": run.history,
    }
    (arguments.output / "training.json").write_text(json.dumps(training, indent=1) + "\n")
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
    add("--set", default="train", metavar="NAME", help="set to train with (default: %(default)s)")
    add("--base", type=Path, required=True, metavar="FOLDER", help="the encoder to begin with")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    add("--seed", type=int, metavar="N", help="instead of that of the settings")
    add("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    add("--threads", type=int, default=torch.get_num_threads(), metavar="N")
    add("--checkpoint-minutes", type=float, default=4, metavar="N")
    add("--evaluate-minutes", type=float, default=12, metavar="N")
    add("--stop-after-steps", type=int, metavar="N", help="stop there, to go on another time")
    return parser.parse_args()


def make_task(settings: Settings, arguments: argparse.Namespace) -> Task:
    """The rows that count, and how much."""
    whole = prepared_set.load(arguments.prepared, arguments.set)
    is_known = prepared_set.known(whole.targets).any(axis=1)
    train_set = whole.part(np.flatnonzero((whole.weights(settings.train) > 0) & is_known))
    row_weights = train_set.weights(settings.train)
    return Task(
        settings=settings,
        train_set=train_set,
        row_weights=row_weights,
        positive_weights=positive_weights(train_set.targets, row_weights, settings.train),
        development=prepared_set.load(arguments.prepared, "development"),
    )


def loop(run: Run, task: Task, checkpoint: Path, stamp: str, arguments: argparse.Namespace) -> None:
    """Step after step, from wherever the run is."""
    train, weights = task.train, task.row_weights
    n_rows = batch_order.rows_an_epoch(weights)
    lengths = np.minimum(task.train_set.lengths(), train.max_tokens)
    n_steps = task.n_steps()
    began, done_before = time.monotonic(), run.seconds
    reported = saved = evaluated = began
    first_step, losses = run.step, []
    while run.step < n_steps:
        if run.step == arguments.stop_after_steps:
            save(run, checkpoint, stamp)
            raise SystemExit(f"stopped after {run.step} of {n_steps} steps")
        losses.append(step(run, task, batch_order.rows_of(run.step, lengths, weights, train), n_steps))
        now = time.monotonic()
        run.seconds = done_before + now - began
        if now - reported > REPORT_SECONDS:
            left = (now - began) / (run.step - first_step) * (n_steps - run.step)
            print(f"step {run.step}/{n_steps}  loss {np.mean(losses):.4f}  ", end="")
            print(f"{run.step * train.rows_per_step / n_rows:.2f} epochs  ", end="")
            print(f"{left / 60:.0f} min left", flush=True)
            reported, losses = now, []
        if now - saved > arguments.checkpoint_minutes * 60:
            save(run, checkpoint, stamp)
            saved = now
        if now - evaluated > arguments.evaluate_minutes * 60:
            evaluate(run, task)
            evaluated = time.monotonic()
    evaluate(run, task)
    save(run, checkpoint, stamp)


def step(run: Run, task: Task, rows: np.ndarray, n_steps: int) -> float:
    """One batch; returns its loss."""
    train, train_set = task.train, task.train_set
    device = next(run.model.parameters()).device
    # The dropout of a step depends on nothing but the step, so a run may stop and go on.
    torch.manual_seed(train.seed * 1_000_003 + run.step)
    padding = encoder.padding_of(run.model)
    inputs = encoder.collate(train_set, rows, train.max_tokens, padding)
    inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
    target = torch.from_numpy(train_set.targets[rows]).to(device)
    positive = torch.from_numpy(task.positive_weights.astype(np.float32)).to(device)
    with encoder.in_precision(train.precision, device):
        logits = run.model(**inputs).logits
    loss = cross_entropy(logits.float(), target, positive, train.label_smoothing)
    optimizer.set_rates(run.optimizer, train, run.step / n_steps)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), train.clip)
    run.optimizer.step()
    run.step += 1
    if run.step % AVERAGE_EVERY == 0:
        decay = min(train.average, (1 + run.step) / (10 + run.step))
        keep_average(run, decay**AVERAGE_EVERY)
    return float(loss.detach())


def keep_average(run: Run, decay: float) -> None:
    """Moves the averaged weights towards the present ones."""
    with torch.no_grad():
        now = run.model.state_dict()
        names = [name for name, tensor in now.items() if tensor.is_floating_point()]
        averages, news = [run.average[name] for name in names], [now[name] for name in names]
        torch._foreach_lerp_(averages, news, 1 - decay)  # noqa: SLF001 - there is no other name


def copy(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Its weights as they are now."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def evaluate(run: Run, task: Task) -> None:
    """Measures the averaged weights on the development set."""
    last = copy(run.model)
    run.model.load_state_dict(run.average)
    development = task.development
    rows = np.arange(len(development))
    logits = encoder.logits(run.model, development, rows, MOST_DEVELOPMENT_TOKENS, task.train.precision)
    run.model.load_state_dict(last)
    is_english = np.array(development.languages) == ENGLISH
    figures = {"step": run.step}
    for name, part in [("", is_english), (OTHERS, ~is_english)]:
        if part.any():
            found = summary(development.targets[part], logits[part], task.settings)
            figures |= {name + key: round(it, 4) for key, it in found.items() if not np.isnan(it)}
    run.history.append(figures)
    shown = (f"{key} {it:.3f}" for key, it in figures.items() if "/" not in key and key != "step")
    print("development  " + "  ".join(shown), flush=True)


def save(run: Run, checkpoint: Path, stamp: str) -> None:
    """Writes how far it is."""
    state = {
        "model": run.model.state_dict(),
        "average": run.average,
        "optimizer": run.optimizer.state_dict(),
        "step": run.step,
        "seconds": run.seconds,
        "history": run.history,
    }
    checkpoints.save(checkpoint, stamp, state)


def resume(run: Run, checkpoint: Path, stamp: str) -> None:
    """Goes on from a checkpoint, if there is one of the same task."""
    state = checkpoints.load(checkpoint, stamp)
    if state is None:
        return
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.average = state["average"]
    run.step, run.seconds, run.history = state["step"], state["seconds"], state["history"]
    print(f"goes on from step {run.step}")


def fingerprint(task: Task) -> str:
    """Of rows and settings."""
    return prepared_set.fingerprint(task.train_set, settings_file.to_toml(task.settings))


def print_task(task: Task) -> None:
    """What there is to do."""
    train_set = task.train_set
    tokens = np.minimum(train_set.lengths(), task.train.max_tokens).sum()
    print(f"{len(train_set)} rows, {tokens} tokens, {task.n_steps()} steps")
    for col, label in enumerate(task.settings.labels):
        target = train_set.targets[:, col]
        n_known = int(prepared_set.known(target).sum())
        print(f"{label:<40}{n_known:>8} known{target.clip(0).sum():>10.0f} positive", end="")
        print(f"{task.positive_weights[col]:>8.2f}", flush=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Holds `moderato serve` to what it promises under load; soak.sh starts it."""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "target" / "soak"
sys.path.append(str(HERE.parent / "bench_peers"))  # processes, and everyday texts

import fairness  # noqa: E402
import overload  # noqa: E402
import soaking  # noqa: E402
import terminate  # noqa: E402
from report import Report  # noqa: E402
from setting import Setting  # noqa: E402

MOST_MINUTES = 24 * 60.0
MOST_TIMES = 1000


def main() -> int:
    parsed = parser().parse_args()
    setting = Setting(
        binary=parsed.binary,
        model=parsed.model,
        dtype=parsed.dtype,
        seed=parsed.seed,
        probe_seconds=parsed.probe_seconds,
        server_options=parsed.server_option,
    )
    raise_file_limit()
    with tempfile.TemporaryDirectory(prefix="moderato-soak-") as work:
        report = asyncio.run(run(parsed, setting, Path(work)))
    print(report.markdown())
    OUT.mkdir(parents=True, exist_ok=True)
    file = parsed.json or OUT / f"{parsed.mode}-{parsed.dtype}.json"
    file.write_text(report.json(), encoding="utf-8")
    return 0 if report.is_met() else 1


async def run(parsed: argparse.Namespace, setting: Setting, work: Path) -> Report:
    match parsed.mode:
        case "soak":
            return await soaking.run(setting, parsed.minutes, parsed.change_seconds, work)
        case "overload":
            return await overload.run(setting, parsed.minutes, work)
        case "terminate":
            return await terminate.run(setting, parsed.times, work)
        case _:
            return await fairness.run(setting, parsed.minutes, work)


def parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--binary", required=True)
    common.add_argument("--model", type=Path, default=ROOT / "models" / "moderato-small")
    common.add_argument("--dtype", choices=["f32", "int8"], default="f32")
    common.add_argument("--seed", type=int, default=1)
    common.add_argument("--probe-seconds", type=within(1, 600), default=10.0)
    common.add_argument(
        "--server-option", action="append", default=[], help="one more of moderato serve; repeated"
    )
    common.add_argument("--json", type=Path, help="where the figures go, else target/soak")
    whole = argparse.ArgumentParser(prog="soak.sh", description=__doc__)
    modes = whole.add_subparsers(dest="mode", required=True)
    minutes = within(0.1, MOST_MINUTES)
    soak = modes.add_parser("soak", parents=[common], help=soaking.__doc__.replace("%", "%%"))
    soak.add_argument("--minutes", type=minutes, default=20.0)
    soak.add_argument("--change-seconds", type=within(0.1, 3600), default=4.5)
    mode = modes.add_parser("overload", parents=[common], help=overload.__doc__)
    mode.add_argument("--minutes", type=minutes, default=2.0)
    mode = modes.add_parser("terminate", parents=[common], help=terminate.__doc__)
    mode.add_argument("--times", type=lambda value: int(within(1, MOST_TIMES)(value)), default=20)
    mode = modes.add_parser("fairness", parents=[common], help=fairness.__doc__)
    mode.add_argument("--minutes", type=minutes, default=1.0)
    return whole


def within(least: float, most: float):
    def number(value: str) -> float:
        if not least <= float(value) <= most:
            raise argparse.ArgumentTypeError(f"expected a number from {least} to {most}")
        return float(value)

    return number


def raise_file_limit() -> None:
    """Each connection is a file here and in the server, which inherits the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())

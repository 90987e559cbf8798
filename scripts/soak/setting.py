"""What the command line says about every mode."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Of a score. The kernels of both add up in the same order in any batch; this is what is promised.
TOLERANCES = {"f32": 1e-4, "int8": 1e-4}


@dataclass
class Setting:
    """Which server, and with what."""

    binary: str
    model: Path
    dtype: str
    seed: int
    probe_seconds: float  # of the search for the sustainable rate
    server_options: list[str]

    @property
    def options(self) -> list[str]:
        return ["--dtype", self.dtype]

    @property
    def serve_options(self) -> list[str]:
        return [*self.options, *self.server_options]

    @property
    def tolerance(self) -> float:
        return TOLERANCES[self.dtype]

    def audit(self, work: Path) -> list[str]:
        """The audit log, where the server has one."""
        help_text = subprocess.run(
            [self.binary, "serve", "--help"], check=True, capture_output=True, text=True
        ).stdout
        return ["--audit-log", str(work / "audit.jsonl")] * ("--audit-log" in help_text)

    def described(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "seed": self.seed, "options": " ".join(self.server_options)}

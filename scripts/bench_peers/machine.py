"""What was measured on, and with which versions."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

FLAGS = ["avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl"]
FLAGS += ["avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "asimd", "asimddp", "i8mm"]
PACKAGES = ["torch", "transformers", "onnxruntime", "onnx", "tokenizers", "numpy"]


def described(threads: int) -> dict[str, Any]:
    """Everything a reader needs to compare figures with those of another machine."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    flags = set(field(cpuinfo, "flags|Features").split())
    return {
        "processor": field(cpuinfo, "model name") or platform.processor() or platform.machine(),
        "family_model_stepping": [
            field(cpuinfo, name) for name in ("cpu family", "model", "stepping")
        ],
        "flags": [flag for flag in FLAGS if flag in flags],
        "cpus": len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE)),
        "threads": threads,
        "python": platform.python_version(),
        "rustc": subprocess.check_output(["rustc", "--version"], text=True).strip(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def field(cpuinfo: str, name: str) -> str:
    """The value of the first line of this name, or nothing."""
    found = re.search(rf"^(?:{name})\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else ""


def busy_seconds() -> float:
    """CPU time of the whole machine that was not idle; what a hypervisor took counts too."""
    user, nice, system, _idle, _iowait, *rest = map(
        int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    )
    return (user + nice + system + sum(rest)) / 100  # USER_HZ, which is fixed

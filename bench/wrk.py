"""The load generator of the serving rows: wrk with one thread, for a few seconds, and what it counted."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.measure import RunError

_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)", re.MULTILINE)
_TRANSFER = re.compile(r"^Transfer/sec:\s+([\d.]+)([KMGT]?)B", re.MULTILINE)
_LATENCY = re.compile(r"^\s+99%\s+([\d.]+)(us|ms|s|m)\s*$", re.MULTILINE)
_FAULT = re.compile(r"^\s*(Non-2xx or 3xx responses: .*|Socket errors: .*)$", re.MULTILINE)
_UNITS = {"": 1e-6, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True)
class Load:
    """What a server did under load."""

    rate: float
    """Answers a second."""
    mb_s: float
    """2^20 bytes a second."""
    slowest_s: float
    """The 99th percentile of what an answer took."""


def missing() -> str | None:
    """Why there is no load generator; None where there is one."""
    return None if shutil.which("wrk") else "wrk is not installed; as root: sh tools/debian.sh"


def load(
    url: str, connections: int, seconds: float, headers: Mapping[str, str] | None = None, script: Path | None = None
) -> Load:
    """Ask for one URL over and over, or for what a script of wrk says.

    Raises RunError where an answer was none, or an error.
    """
    named = [part for name, value in (headers or {}).items() for part in ("-H", f"{name}: {value}")]
    options = ["--latency", "--timeout", "30s", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    scripted = ["-s", str(script)] if script is not None else []
    done = subprocess.run(["wrk", *options, *named, *scripted, url], capture_output=True, text=True, check=False)
    rate, transfer, slowest = (pattern.search(done.stdout) for pattern in (_RATE, _TRANSFER, _LATENCY))
    if done.returncode or rate is None or transfer is None or slowest is None:
        raise RunError(f"wrk {url}: {done.stdout}{done.stderr}")
    fault = _FAULT.search(done.stdout)
    if fault is not None and float(rate[1]) >= 1:
        raise RunError(f"wrk {url}: {fault[1]}")
    return Load(float(rate[1]), float(transfer[1]) * _UNITS[transfer[2]], float(slowest[1]) * _SECONDS[slowest[2]])

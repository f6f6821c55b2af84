"""The other end of the driver: orders go out, outcomes come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.faults.driver import DIED, Order, Outcome

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["DIED", "Driver", "Order", "Outcome", "complaints", "message_of"]

ROOT = Path(__file__).parents[2]
STATUSES = frozenset(range(10))
"""The exit statuses of the table."""
_UNFORESEEN = "pypim: error: unexpected "
_LOUD = ("Traceback (most recent call last)", "never retrieved", "Exception ignored", "never awaited", _UNFORESEEN)


_NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}


def surroundings(home: Path) -> dict[str, str]:
    """The variables by which a run finds this user's folders."""
    return dict.fromkeys(("HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(home))


class Driver:
    """One driver process. Its runs see `home` as home, temporary and configuration folder, and nothing of this user."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> Self:
        self._home.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "SYSTEMROOT") if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.driver"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**kept, **surroundings(self._home), **_NO_PROXY},
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, *arguments: str, home: Path | None = None, **disturbance: Any) -> Outcome:
        """Run `pypim` with these arguments, in another home if need be; disturbances are the fields of an Order."""
        environment = surroundings(home or self._home)
        order = Order(arguments=list(arguments), environment=environment, **disturbance)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asdict(order)) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the driver died of {order}"
        return Outcome(**json.loads(line))


def complaints(outcome: Outcome, command: str = "") -> list[str]:
    """What is wrong with the way in which a run ended, whatever the reason for its end.

    What `doctor` and `verify` find wrong is their answer, and no error.
    """
    found = [f"{sign!r} in: {outcome.stderr}" for sign in _LOUD if sign in outcome.stderr]
    if outcome.status not in STATUSES:
        found.append(f"status {outcome.status} is not in the table: {outcome.stderr}")
    messages = outcome.stderr.count("pypim: error: ")
    is_answer = command in {"doctor", "verify"} and messages == 0 and outcome.stdout
    if outcome.status > 1 and messages != 1 and not is_answer:
        found.append(f"status {outcome.status} with {messages} messages: {outcome.stderr}")
    return found


def message_of(outcome: Outcome) -> str:
    """The error and its remedy."""
    return outcome.stderr.partition("pypim: error: ")[2]

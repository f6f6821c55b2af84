"""The last word on a root of which no held release can be installed, from the upstream either: the root as written.

Each release by itself may be refused everywhere, while the upstream satisfies the root by another release, which the
index lacks. Only the root as it is written shows that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.sync.blame import Blame, Cause
from pypim.sync.opinions import Proof, State
from pypim.sync.trials import key_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pypim.sync.trials import Result, RootKey, Trial

Told = tuple["Result", "Proof"]
_HERE = frozenset({Cause.MISSING_FILE, Cause.NOT_HELD, Cause.FILTER})
"""Causes with which the upstream has what the index lacks."""


async def judged_as_written(
    told: Sequence[Told], bits: Mapping[str, int], blame: Callable[[Trial], Awaitable[Sequence[Blame]]]
) -> list[Proof]:
    """The proofs, of which those have failed after all whose root the upstream satisfies as it is written.

    `bits`: name of an environment → its bit; `blame` explains a trial of a root's own rule, and says nothing of the
    environments in which what is held satisfies it.
    """
    trials = _doubtful(told, bits)
    found: dict[tuple[RootKey, int], Blame] = {}
    for key, trial in trials.items():
        for one in await blame(trial):
            if one.cause in _HERE:
                found |= {(key, bit): one for bit in bits.values() if one.mask & bit}
    proofs: list[Proof] = []
    for result, proof in told:
        reason = found.get((key_of(result.trial.root), bits[proof.environment]))
        if reason is None:
            proofs.append(proof)
            continue
        explanation = f"another release of it would do: {reason.explanation}"
        changed = {"cause": reason.cause, "explanation": explanation, "remedy": reason.remedy}
        proofs.append(msgspec.structs.replace(proof, state=State.FAILS, **changed))
    return proofs


def as_written(trial: Trial) -> str:
    """The root of a trial as a requirement, with its own extras and specifier."""
    root = trial.root
    named = f"[{','.join(sorted(root.extras))}]" if root.extras else ""
    return f"{root.project}{named}{root.rule.specifier}"


def _doubtful(told: Sequence[Told], bits: Mapping[str, int]) -> dict[RootKey, Trial]:
    """The roots that are impossible wherever nothing of them can be installed, there."""
    impossible: dict[RootKey, int] = {}
    other: dict[RootKey, int] = {}
    roots: dict[RootKey, Trial] = {}
    for result, proof in told:
        trial = result.trial
        if not result.version or trial.root.locked is not None or trial.lines:
            continue
        key, bit = key_of(trial.root), bits[proof.environment]
        masks = impossible if proof.state is State.IMPOSSIBLE else other
        masks[key] = masks.get(key, 0) | bit
        roots[key] = trial
    masks_left = {key: mask & ~other.get(key, 0) for key, mask in impossible.items()}
    return {
        key: msgspec.structs.replace(roots[key], version=None, mask=mask, is_one_enough=True)
        for key, mask in masks_left.items()
        if mask
    }

"""Proofs that rest on an sdist of which nobody knows all that it requires, for only its build would tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.errors import NotFound
from pypim.core.filenames import FileKind, parse_filename
from pypim.core.target import wheel_rank
from pypim.sync.opinions import State
from pypim.sync.trials import whole_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pypim.core.model import DistFile
    from pypim.core.selection import ChosenRelease, Selection
    from pypim.core.target import Environment
    from pypim.sync.held import Held
    from pypim.sync.opinions import Proof
    from pypim.sync.trials import Result

Told = tuple["Result", "Proof"]
_MOST = 4  # so many files are named; a person wants the gist


async def with_doubts(
    told: Sequence[Told], selections: Sequence[Selection], held: Held, environments: Sequence[Environment]
) -> list[Told]:
    """The same, where proofs that hold name such sdists. `selections` are what was chosen for the proofs."""
    found: dict[tuple[str, str], dict[str, None]] = {}
    for selection in selections:
        releases: dict[tuple[str, str], ChosenRelease] = {(one.project, one.version): one for one in selection.releases}
        for release in selection.releases:
            for file in await _open_files(release, held):
                for environment in environments:
                    if not _has_wheel(release, environment):
                        for origin in _origins(releases, release, environment.name):
                            found.setdefault((origin, environment.name), {})[file.filename] = None
    return [(result, _noted(result, proof, found)) for result, proof in told]


def _noted(result: Result, proof: Proof, found: dict[tuple[str, str], dict[str, None]]) -> Proof:
    """Trials are numbered, but for the lines of a file (see `trials.attempt`)."""
    trial = result.trial
    origins = [line.origin for line in trial.lines] or [str(trial.number)]
    names = list(dict.fromkeys(name for one in origins for name in found.get((one, proof.environment), ())))
    if proof.state is not State.INSTALLABLE or not names:
        return proof
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    explanation = f"what is required is known only once they are built: {', '.join(names[:_MOST])}{more}"
    remedy = "`pypim prove --with uv` builds them to find out."
    return msgspec.structs.replace(proof, open_sdists=tuple(names), explanation=explanation, remedy=remedy)


async def _open_files(release: ChosenRelease, held: Held) -> list[DistFile]:
    found = []
    for file in release.files:
        if parse_filename(file.filename, release.project).kind is FileKind.SDIST:
            try:
                metadata = await held.metadata(release.project, file)
            except NotFound:
                continue
            if metadata.is_lower_bound:
                found.append(file)
    return found


def _has_wheel(release: ChosenRelease, environment: Environment) -> bool:
    """Whether an environment need not build it."""
    tags = (parse_filename(file.filename, release.project).tags for file in release.files)
    return any(one is not None and wheel_rank(environment, one) is not None for one in tags)


def _origins(releases: dict[tuple[str, str], ChosenRelease], below: ChosenRelease, environment: str) -> Iterator[str]:
    """The roots that lead to a release in one environment."""
    seen: set[tuple[str, str]] = {(below.project, below.version)}
    waiting = [below]
    while waiting:
        for reason in waiting.pop().reasons:
            if environment not in map(whole_name, reason.environments):
                continue
            if not reason.parent_project:
                yield reason.origin
                continue
            key = (reason.parent_project, reason.parent_version)
            if key not in seen and (parent := releases.get(key)) is not None:
                seen.add(key)
                waiting.append(parent)

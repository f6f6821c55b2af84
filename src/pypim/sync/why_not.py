"""Says what keeps a requirement out of an index, by asking the very rules that chose the selection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from pypim.core.candidates import Chooser
from pypim.core.explain import FileVerdict, explain_files
from pypim.core.filenames import parse_version
from pypim.core.names import parse_name
from pypim.core.sizing import Sizing
from pypim.sync.unasked import describe_unasked, metadata_of

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from pypim.core.model import DistFile, Page
    from pypim.core.requirements import RequirementLine
    from pypim.core.selection import Selection
    from pypim.sync.model import Request, Stack


class Objections(msgspec.Struct, frozen=True, kw_only=True):
    """What stands between a requirement and an index; the reason of a file is empty where nothing does."""

    index: str
    requirement: str
    is_kept: bool
    """Whether a release that satisfies it is held after all."""
    verdict: str
    files: tuple[FileVerdict, ...] = ()
    remedy: str = ""


async def object_to(stack: Stack, request: Request, line: RequirementLine) -> Objections:
    """Judge every file of the releases that satisfy a requirement. Raises ProjectNotFound or UpstreamFault."""
    name = parse_name(line.requirement.name)
    specifier = line.requirement.specifier
    selection = stack.generations.current_selection(request.index)
    kept = _kept_versions(selection, name, specifier)

    def answer(verdict: str, files: list[FileVerdict] | None = None, remedy: str = "") -> Objections:
        return Objections(
            index=request.index,
            requirement=line.text,
            is_kept=bool(kept),
            verdict=verdict,
            files=tuple(files or ()),
            remedy=remedy,
        )

    if kept:
        return answer(f"it is held: {name} {', '.join(kept)}", remedy=f"Ask `pypim why {name}` for the reasons.")
    is_root = any(root.project == name for root in request.roots)
    verdict = request.policy.project_verdict(name, is_dependency=not is_root)
    if not verdict.is_allowed:
        return answer(f"{name} is kept out by {verdict.reason}", remedy="Change that filter to let it in.")
    page = await stack.index.project(name)
    chooser = Chooser(request.environments, request.policy, stack.clock.now())
    hashes = line.hashes or _hashes_of_roots(request, name)
    candidates = chooser.candidates(page, hashes)
    if candidates.withheld:
        return answer(candidates.withheld)
    files = await _judged(_Judge(stack, request, chooser, hashes), page, specifier)
    if not files:
        newest = candidates.releases[0].text if candidates.releases else "none"
        return answer(f"the upstream lists no release of {name} that satisfies it; the newest is {newest}")
    if all(row.reason for row in files):
        return answer("every file that satisfies it is kept out", files, "Change what the reasons name to let it in.")
    return answer(*await _unchosen(stack, request, selection, name, files))


class _Judge(msgspec.Struct, frozen=True):
    stack: Stack
    request: Request
    chooser: Chooser
    hashes: frozenset[str]


async def _judged(judge: _Judge, page: Page, specifier: SpecifierSet) -> list[FileVerdict]:
    """What keeps each file out, also by its size or its Requires-Python where the page tells neither.

    As in a sync, the newest release that nothing keeps out is asked for them, and where that rules it out, the next.
    """
    chooser, learned = judge.chooser, dict[str, str | None]()
    sizing = Sizing(chooser.policy.max_file_size_bytes)
    while True:
        candidates = chooser.candidates(sizing.page(page), judge.hashes)
        for file in page.files:
            if learned.get(file.identity) is not None:
                candidates = candidates.narrowed(file, chooser.python_mask(learned[file.identity]))
        files = explain_files(candidates, specifier, chooser, learned)
        free = {row.filename for row in files if not row.reason}
        newest = next((r for r in candidates.releases if any(c.file.filename in free for c in r.candidates)), None)
        usable = newest.installable(chooser.everything, with_yanked=True) if newest else []
        asked = [candidate.file for candidate, _ in usable if candidate.file.filename in free]
        if not await _learn(judge, page.name, asked, sizing, learned):
            return files


async def _learn(
    judge: _Judge, project: NormalizedName, asked: list[DistFile], sizing: Sizing, learned: dict[str, str | None]
) -> bool:
    """Ask for sizes that decide, or else for metadata; whether there was anything to ask for."""
    if (unsized := sizing.unknown(project, asked)) and sizing.limit_bytes is not None:
        sizes = (judge.stack.sizes.size(file, limit_bytes=sizing.limit_bytes) for file in unsized)
        for file, size in zip(unsized, await asyncio.gather(*sizes), strict=True):
            sizing.learn(project, file, size)
        return True
    unread = [file for file in asked if file.identity not in learned] if judge.request.follow.is_followed else []
    found = await asyncio.gather(*(metadata_of(judge.stack, project, file) for file in unread))
    for file, metadata in zip(unread, found, strict=True):
        learned[file.identity] = metadata.requires_python if metadata else None
    return bool(unread)


def _hashes_of_roots(request: Request, name: NormalizedName) -> frozenset[str]:
    """The hashes that requirements files allow, where every rule for the project is limited by some."""
    allowed = [root.hashes for root in request.roots if root.project == name]
    return frozenset().union(*allowed) if all(allowed) else frozenset()


async def _unchosen(
    stack: Stack, request: Request, selection: Selection | None, name: NormalizedName, files: list[FileVerdict]
) -> tuple[str, list[FileVerdict], str]:
    """Nothing keeps it out, and yet it is not chosen: no rule asks for it, or the rules take other releases."""
    rules = [root.text for root in request.roots if root.project == name]
    rules += [p.rule.text for p in request.patterns if p.expression.fullmatch(name)]
    chosen = _kept_versions(selection, name, None)
    if not chosen and not rules:
        return (
            await describe_unasked(stack, request, selection, name),
            files,
            f"Add {name} to [indexes.{request.index}.packages], or name it to `pypim sync`.",
        )
    if not chosen:
        return "it can be had, and is not there yet", files, "Run `pypim sync`."
    if name in request.constraints:
        rules.append(f"the constraint {name}{request.constraints[name]}")
    asked = f" by {', '.join(repr(rule) for rule in rules)}" if rules else " by what others require"
    return (
        f"other releases are chosen{asked}: {name} {', '.join(chosen)}",
        files,
        "Add a rule for it; a list of rules keeps several releases.",
    )


def _kept_versions(selection: Selection | None, name: NormalizedName, specifier: SpecifierSet | None) -> list[str]:
    found = []
    for release in selection.releases if selection else ():
        version = parse_version(release.version)
        satisfies = not specifier or (version is not None and specifier.contains(version, prereleases=True))
        if release.project == name and satisfies:
            found.append(release.version)
    return found

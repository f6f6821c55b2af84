"""Says what keeps a requirement out of an index, by asking the very rules that chose the selection."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pypim.core.candidates import Chooser
from pypim.core.expand import lacks_extra
from pypim.core.explain import FileVerdict, explain_files
from pypim.core.filenames import parse_filename, parse_version
from pypim.core.names import normalize_extra, parse_name
from pypim.core.remedies import NEW_TARGET, file_remedies, project_remedies
from pypim.core.sizing import Sizing
from pypim.core.steps import Steps
from pypim.sync.each import follows_nothing
from pypim.sync.remedy import Wanted, asking, letting_in, proviso, sentence
from pypim.sync.run import expand_roots, select
from pypim.sync.unasked import metadata_of
from pypim.sync.unchosen import Case, Conflict, describe_unchosen
from pypim.sync.walking import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.candidates import Candidates, Release
    from pypim.core.closure import Root
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
    conflicts: tuple[Conflict, ...] = ()
    """What would contradict the release that the verdict names, if it were forced in."""
    remedy: str = ""
    """What to change to get it held; empty where nothing can be changed here."""


async def object_to(stack: Stack, request: Request, line: RequirementLine) -> Objections:
    """Judge every file of the releases that satisfy a requirement. Raises ProjectNotFound or UpstreamFault."""
    name = parse_name(line.requirement.name)
    is_alone = follows_nothing(request)
    generations, index = stack.generations, request.index
    selection = generations.portion(index, name) if is_alone else generations.current_selection(index)
    kept = _kept_versions(selection, name, line.requirement.specifier)
    answer = Objections(index=request.index, requirement=line.text, is_kept=bool(kept), verdict="")
    if selection is not None and kept:
        return msgspec.structs.replace(answer, **await _kept(stack, selection, request, line, kept))
    roots = Rules(request).roots(name) if is_alone else (await expand_roots(stack, request))[0]
    is_root = any(root.project == name for root in roots)
    page = await stack.index.project(name)
    chooser = Chooser(request.environments, request.policy, stack.clock.now())
    specifier = line.requirement.specifier
    hashes = line.hashes or _hashes_of_roots(roots, name, _versions_of(page, specifier))
    judge = _Judge(stack, request, chooser, hashes, tuple(roots), Sizing(request.policy.max_file_size_bytes))
    candidates = chooser.candidates(page, hashes)
    verdict = request.policy.project_verdict(name, is_dependency=not is_root)
    if candidates.withheld:
        remedy = sentence([one.remedy for one in request.policy.limits.objections(page)])
        return msgspec.structs.replace(answer, verdict=candidates.withheld, remedy=remedy)
    files = await _judged(judge, page, line.requirement.specifier)
    if not files:
        newest = candidates.releases[0].text if candidates.releases else "none"
        told = f"the upstream lists no release of {name} that satisfies it; the newest is {newest}"
        return msgspec.structs.replace(answer, verdict=told)
    if not verdict.is_allowed or all(row.reason for row in files):
        told = "every file that satisfies it is kept out"
        told = told if verdict.is_allowed else f"{name} is kept out by {verdict.reason}"
        return msgspec.structs.replace(
            answer, verdict=told, files=tuple(files), remedy=await _let_in(judge, page, candidates, files)
        )
    release = next(one for one in candidates.releases if any(_is_free(row, one) for row in files))
    told, conflicts, remedy = await _unchosen(judge, release)
    return msgspec.structs.replace(answer, verdict=told, files=tuple(files), conflicts=conflicts, remedy=remedy)


async def _kept(
    stack: Stack, selection: Selection, request: Request, line: RequirementLine, kept: list[str]
) -> dict[str, str]:
    """It is held; its extras may not be."""
    name = parse_name(line.requirement.name)
    steps = Steps(selection, root_extras=request.follow.root_extras)
    asked = [step for version in kept for step in steps.all_to((name, version))]
    extras = sorted(map(normalize_extra, line.requirement.extras))
    lacking = [extra for extra in extras if not any(step.reaches(extra) for step in asked)]
    told = f"it is held: {name} {', '.join(kept)}"
    files = [
        file
        for release in selection.releases
        for file in release.files
        if release.project == name and release.version in kept
    ]
    unknown = await _not_provided(stack, name, files, lacking)
    wanted = [extra for extra in extras if extra not in unknown]
    answer = {"verdict": told, "remedy": f"Ask `pypim why {name}` for the reasons."}
    if unknown:
        answer["verdict"] = f"{told}, which provides no extra {', '.join(unknown)}"
    if unasked := [extra for extra in lacking if extra not in unknown]:
        answer["verdict"] += f", but nothing asks for its extras {', '.join(unasked)}"
        text = f"{name}[{','.join(wanted)}]"
        table = f"[indexes.{request.index}.packages]"
        answer["remedy"] = f'Add "{text}" = "=={kept[0]}" to {table}, or run `pypim sync {text}`.'
    return answer


async def _not_provided(
    stack: Stack, name: NormalizedName, files: Iterable[DistFile], extras: list[NormalizedName]
) -> list[NormalizedName]:
    """The extras that every file is known not to have; to ask for them would bring nothing."""
    found = await asyncio.gather(*(metadata_of(stack, name, file) for file in files)) if extras else []
    return [extra for extra in extras if all(one is not None and lacks_extra(one, extra) for one in found)]


async def _let_in(judge: _Judge, page: Page, candidates: Candidates, files: list[FileVerdict]) -> str:
    """What lets in the newest release of which anything can be let in; a pre-release only where there is no other."""
    options: dict[str, list[list[str]]] = {}
    by_name: dict[str, DistFile] = {file.filename: file for file in judge.sizing.page(page).files}
    project = project_remedies(judge.request.policy, page.name, is_dependency=not judge.is_root(page.name))
    for row in files:
        found = judge.remedies(page.name, by_name[row.filename])
        if found is not None:
            options.setdefault(row.version, []).append([*dict.fromkeys((*project, *found))])
    if not options:
        return ""
    version = max(options, key=partial(_rank, takes_prereleases=judge.request.policy.prereleases))
    wanted = judge.wanted(page.name, version)
    others = [*(release.text for release in candidates.releases), *(one.version for one in candidates.exclusions)]
    remedy = letting_in(wanted, options[version], others)
    steps = [step for option in options[version] for step in option]
    if any(step.startswith(NEW_TARGET) for step in steps):
        return remedy  # what installs there is another question
    return remedy + await proviso(wanted, has_filters=not steps)


def _rank(text: str, *, takes_prereleases: bool) -> tuple[bool, bool, Version | str]:
    """By which one version comes before others that could as well be asked for."""
    version = parse_version(text)
    return version is not None, takes_prereleases or not (version and version.is_prerelease), version or text


async def _unchosen(judge: _Judge, release: Release) -> tuple[str, tuple[Conflict, ...], str]:
    """Nothing keeps it out, and yet it is not held: no rule asks for it, or rules and requirements take others."""
    selected = await select(judge.stack, judge.request, judge.roots, keeps_going=True)
    planned = selected.selection
    if release.text in _kept_versions(planned, release.project, None):
        return "it can be had, and is not there yet", (), "Run `pypim sync`."
    case = Case(
        stack=judge.stack,
        request=judge.request,
        chooser=judge.chooser,
        roots=judge.roots,
        planned=planned,
        release=release,
    )
    told, conflicts = await describe_unchosen(case)
    wanted = judge.wanted(release.project, release.text)
    remedy = sentence(asking(wanted))
    return told, conflicts, remedy + await proviso(wanted)


class _Judge(msgspec.Struct, frozen=True):
    stack: Stack
    request: Request
    chooser: Chooser
    hashes: frozenset[str]
    roots: tuple[Root, ...]
    sizing: Sizing
    learned: dict[str, str | None] = {}
    """Identity → Requires-Python of the core metadata, of the files that were asked for it."""

    def is_root(self, project: NormalizedName) -> bool:
        """Whether anything asks for the project by name."""
        return any(root.project == project for root in self.roots)

    def wanted(self, project: NormalizedName, version: str) -> Wanted:
        """A release, as remedies want it."""
        return Wanted(stack=self.stack, request=self.request, roots=self.roots, project=project, version=version)

    def remedies(self, project: NormalizedName, file: DistFile) -> list[str] | None:
        """All that lets a file in; None where nothing does."""
        return file_remedies(project, file, self.chooser, self.hashes, self.learned.get(file.identity))


async def _judged(judge: _Judge, page: Page, specifier: SpecifierSet) -> list[FileVerdict]:
    """What keeps each file out, also by its size or its Requires-Python where the page tells neither.

    As in a sync, the newest release that nothing keeps out is asked for them, and where that rules it out, the next.
    """
    chooser, learned, sizing = judge.chooser, judge.learned, judge.sizing
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
        if not await _learn(judge, page.name, asked):
            told = {file.filename: judge.remedies(page.name, file) for file in sizing.page(page).files}
            remedies: dict[str, str] = {filename: " and ".join(found or ()) for filename, found in told.items()}
            return [msgspec.structs.replace(row, remedy=remedies[row.filename]) for row in files]


async def _learn(judge: _Judge, project: NormalizedName, asked: list[DistFile]) -> bool:
    """Ask for sizes that decide, or else for metadata; whether there was anything to ask for."""
    sizing, learned = judge.sizing, judge.learned
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


def _hashes_of_roots(roots: Iterable[Root], name: NormalizedName, versions: list[Version]) -> frozenset[str]:
    """The hashes that requirements files allow, where every rule that takes any of the versions is limited by some."""
    allowed = [
        root.hashes
        for root in roots
        if root.project == name and any(root.rule.specifier.contains(one, prereleases=True) for one in versions)
    ]
    return frozenset().union(*allowed) if all(allowed) else frozenset()


def _versions_of(page: Page, specifier: SpecifierSet) -> list[Version]:
    """Those on a page that a specifier admits."""
    found = {parse_filename(file.filename, page.name).version for file in page.files}
    return [version for version in found if version is not None and specifier.contains(version, prereleases=True)]


def _is_free(row: FileVerdict, release: Release) -> bool:
    return not row.reason and any(candidate.file.filename == row.filename for candidate in release.candidates)


def _kept_versions(selection: Selection | None, name: NormalizedName, specifier: SpecifierSet | None) -> list[str]:
    found = []
    for release in selection.releases if selection else ():
        version = parse_version(release.version)
        satisfies = not specifier or (version is not None and specifier.contains(version, prereleases=True))
        if release.project == name and satisfies:
            found.append(release.version)
    return found

"""Small worlds as values: what an index offers, written as data, and the selection that is made of it.

The metadata is written out as METADATA and read again, so that a world can hold whatever real files hold.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import msgspec
from packaging.specifiers import SpecifierSet

from pypim.core.candidates import Chooser
from pypim.core.closure import Closure, FollowOptions, Root, Want, WantMetadata, WantPage, WantSize
from pypim.core.filenames import parse_filename
from pypim.core.locked import LockedFile, LockedRelease
from pypim.core.metadata import parse_metadata
from pypim.core.model import CoreMetadata, DistFile, MetadataSource, Page, ProjectStatus
from pypim.core.names import normalize_extra, parse_name, parse_safe_filename
from pypim.core.policy import Filters, Policy
from pypim.core.requirements import parse_requirement_argument
from pypim.core.resolve import Resolution
from pypim.core.rules import parse_rule, requirement_rule
from pypim.core.selection import ProblemKind, Selection
from pypim.core.target import TargetSpec, environments

if TYPE_CHECKING:
    from packaging.utils import NormalizedName

NOW = datetime(2026, 11, 20, tzinfo=UTC)

Order = Callable[[list[Want]], Want]
"""Takes the want that is answered next out of all that are open."""


class Offer(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """One file: what the page and its metadata say of it."""

    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    build_requires: tuple[str, ...] = ()
    requires_python: str | None = None
    """In the metadata; on the page too unless `page_python` says otherwise."""
    page_python: str | msgspec.UnsetType | None = msgspec.UNSET
    yanked: bool | str = False
    has_sha256: bool = True
    size: int | None = 1000
    real_size: int | None = 1000
    """What is learned where the page says none; None where nobody can tell."""
    upload_time: str | None = None
    source: MetadataSource = MetadataSource.ADVERTISED
    has_metadata: bool = True

    def listed(self, filename: str) -> DistFile:
        """The entry of the page."""
        page_python = self.requires_python if self.page_python is msgspec.UNSET else self.page_python
        return DistFile(
            filename=parse_safe_filename(filename),
            url=f"https://files.example/{filename}",
            sha256=digest(filename) if self.has_sha256 else None,
            size=self.size,
            requires_python=page_python,
            yanked=self.yanked,
            upload_time=self.upload_time,
        )

    def metadata(self, project: NormalizedName, filename: str) -> CoreMetadata | None:
        """The core metadata, read from METADATA; None where it cannot be had."""
        if not self.has_metadata:
            return None
        lines = ["Metadata-Version: 2.1", f"Name: {project}"]
        lines.append(f"Version: {parse_filename(filename, project).version_text or '0'}")
        lines += [f"Requires-Python: {self.requires_python}"] if self.requires_python else []
        lines += [f"Provides-Extra: {extra}" for extra in self.extras]
        lines += [f"Requires-Dist: {text}" for text in self.requires]
        found = parse_metadata("\n".join([*lines, "", ""]).encode(), self.source)
        is_lower_bound = self.source in {MetadataSource.EGG_INFO, MetadataSource.NONE}
        return msgspec.structs.replace(found, is_lower_bound=is_lower_bound, build_requires=self.build_requires)


def digest(filename: str) -> str:
    """The sha256 that a page lists for a file of that name."""
    return hashlib.sha256(filename.encode()).hexdigest()


class Asked(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """A root that is more than a requirement on the command line."""

    requirement: str
    rule: str | None = None
    hashes: tuple[str, ...] = ()
    """Names of files whose sha256 is allowed, or "algorithm:hex"."""
    is_named: bool = True
    locked: tuple[str, ...] | None = None
    """The file names that a lock names of the release that the requirement pins."""
    file: str = ""
    """The requirements file that names it beside others."""

    def root(self) -> Root:
        """As the closure wants it."""
        line = parse_requirement_argument(self.requirement, "command line")
        requirement = line.requirement
        return Root(
            project=parse_name(requirement.name),
            rule=requirement_rule(requirement.specifier, line.text)
            if self.rule is None
            else parse_rule(self.rule, "packages"),
            extras=frozenset(normalize_extra(extra) for extra in requirement.extras),
            marker=requirement.marker,
            hashes=frozenset(text if ":" in text else f"sha256:{digest(text)}" for text in self.hashes),
            origin="command line" if self.rule is None else "packages",
            text=self.rule or line.text,
            is_named=self.is_named,
            locked=None if self.locked is None else self._locked(parse_name(requirement.name), requirement.specifier),
            file=self.file,
        )

    def _locked(self, project: NormalizedName, specifier: SpecifierSet) -> LockedRelease:
        (pin,) = specifier
        names = map(parse_safe_filename, self.locked or ())
        files = (LockedFile(name, frozenset((f"sha256:{digest(name)}",))) for name in names)
        return LockedRelease(project, pin.version, tuple(files))


class Following(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """How dependencies are followed, as the configuration says it."""

    follow: bool = True
    versions: Literal["newest", "all", "resolve"] = "newest"
    extras: Literal["requested", "all"] | tuple[str, ...] = "requested"
    max_depth: int = 0
    build: bool = True

    def options(self) -> FollowOptions:
        """As the closure wants it."""
        extras = () if isinstance(self.extras, str) else self.extras
        return FollowOptions(
            is_followed=self.follow,
            is_every_match=self.versions == "all",
            is_resolved=self.versions == "resolve",
            root_extras=None if self.extras == "all" else frozenset(map(normalize_extra, extras)),
            max_depth=self.max_depth,
            is_build_followed=self.build,
        )


class World(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What an index offers, and what is asked of it."""

    projects: dict[str, dict[str, Offer]]
    """Project → file name → file."""
    status: dict[str, ProjectStatus] = {}
    lacks: dict[str, ProblemKind] = {}
    """Projects whose page cannot be had for another reason than that it is missing."""
    targets: dict[str, TargetSpec] = {}
    roots: tuple[str | Asked, ...]
    constraints: tuple[str, ...] = ()
    filters: Filters = Filters()
    dependencies: Following = Following()

    def page(self, project: NormalizedName) -> Page | None:
        """The project's page."""
        if project not in self.projects:
            return None
        files = tuple(offer.listed(filename) for filename, offer in self.projects[project].items())
        return Page(name=project, files=files, status=self.status.get(project, ProjectStatus.ACTIVE))

    def answer(self, want: Want) -> Page | CoreMetadata | int | None:
        """What the index says."""
        if isinstance(want, WantPage):
            return self.page(want.project)
        if isinstance(want, WantSize):
            return self.projects[want.project][want.file.filename].real_size
        return self.projects[want.project][want.file.filename].metadata(want.project, want.file.filename)

    def asked(self) -> list[Root]:
        """The roots, as the closure wants them."""
        return [(Asked(requirement=root) if isinstance(root, str) else root).root() for root in self.roots]

    def chooser(self) -> Chooser:
        """For the targets and filters."""
        return Chooser(environments(self.targets), Policy.compile(self.filters, "filters"), NOW)

    def closure(self) -> Closure | Resolution:
        """Not yet started."""
        constraints: dict[NormalizedName, SpecifierSet] = {}
        for text in self.constraints:
            found = parse_requirement_argument(text, "constraints").requirement
            name = parse_name(found.name)
            constraints[name] = constraints.get(name, SpecifierSet()) & found.specifier
        computation = Resolution if self.dependencies.versions == "resolve" else Closure
        return computation(self.chooser(), self.dependencies.options(), constraints)


Projects = Mapping[str, Mapping[str, Sequence[str] | Offer]]
"""Project → version or file name → what it requires, or all that is to be said of it; a bare version is a wheel."""


def first(waiting: list[Want]) -> Want:
    """Answer in the order of asking."""
    return waiting.pop(0)


def last(waiting: list[Want]) -> Want:
    """Answer the newest want first."""
    return waiting.pop()


def shuffled(seed: int) -> Order:
    """Answer in an order that only the seed knows."""
    source = random.Random(seed)
    return lambda waiting: waiting.pop(source.randrange(len(waiting)))


def choose(world: World, order: Order = first) -> Selection:
    """Drive a closure to its end."""
    return drive(world, order)[0]


def drive(world: World, order: Order = first) -> tuple[Selection, list[Want]]:
    """Drive a closure to its end; also everything that it wanted."""
    closure = world.closure()
    wanted = answer_all(world, closure, order)
    return closure.selection(), wanted


def resolve(world: World, order: Order = first) -> tuple[Resolution, Selection]:
    """The same of a world whose dependencies are resolved; what was resolved, and the selection."""
    resolution = world.closure()
    assert isinstance(resolution, Resolution)
    answer_all(world, resolution, order)
    return resolution, resolution.selection()


def answer_all(world: World, closure: Closure | Resolution, order: Order = first) -> list[Want]:
    """Start a closure and answer whatever it wants, in some order; all of that."""
    waiting = list(closure.start(world.asked()))
    wanted: list[Want] = []
    while waiting or closure.is_busy:
        if closure.is_busy:
            waiting += closure.go_on()
            continue
        want = order(waiting)
        wanted.append(want)
        answer = world.answer(want)
        kind = world.lacks.get(want.project, ProblemKind.MISSING)
        lack = None if answer is not None else (kind, f"{want.project} cannot be had")
        waiting += closure.answer(want, answer, lack)
    return wanted


def small(projects: Projects, *roots: str | Asked, **fields: object) -> World:
    """A world in short."""
    written = {
        parse_name(project): {
            wheel(project, release) if release[0].isdigit() else release: offer
            if isinstance(offer, Offer)
            else Offer(requires=tuple(offer))
            for release, offer in releases.items()
        }
        for project, releases in projects.items()
    }
    return World(projects=written, roots=roots, **fields)  # type: ignore[arg-type]  # any field may be given


def wheel(project: str, version: str, tags: str = "py3-none-any") -> str:
    """The name of a wheel."""
    return f"{project.replace('-', '_')}-{version}-{tags}.whl"


def releases_of(selection: Selection) -> list[str]:
    """What was chosen, as "project version"."""
    return [f"{release.project} {release.version}" for release in selection.releases]


def files_of(selection: Selection) -> set[str]:
    """The names of all chosen files."""
    return {file.filename for release in selection.releases for file in release.files}


def metadata_wanted(wanted: Iterable[Want]) -> list[str]:
    """The names of the files whose metadata was asked for."""
    return [want.file.filename for want in wanted if isinstance(want, WantMetadata)]


def pythons(*versions: str, platforms: Sequence[str] = ("linux",)) -> dict[str, TargetSpec]:
    """One target "t" with these Pythons."""
    return {"t": TargetSpec(python=versions, platforms=tuple(platforms))}

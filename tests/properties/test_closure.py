"""Properties of the closure, over small worlds of every kind, and a naive oracle that must choose the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pypim.core.chains import chains_of
from pypim.core.closure import WantMetadata, WantPage, WantSize
from pypim.core.filenames import parse_filename
from pypim.core.model import Blob, Holding, MetadataSource
from pypim.core.names import parse_name
from pypim.core.plan import make_plan, planned_files
from pypim.core.policy import Filters
from pypim.core.target import TargetSpec
from tests.core.offers import Asked, Following, Offer, World, choose, drive, files_of, first, last, shuffled, small

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

    from pypim.core.selection import Reason, Selection

_Value = TypeVar("_Value")

NAMES = ["a", "b", "c", "d"]
VERSIONS = ["1.0", "1.0.0", "2.0", "2.1rc1", "3.0"]
TAGS = [
    "py3-none-any",
    "cp311-cp311-manylinux_2_17_x86_64",
    "cp312-cp312-manylinux_2_17_x86_64",
    "cp312-abi3-win_amd64",
    "cp39-abi3-win_amd64",
    "cp38-cp38-macosx_11_0_arm64",
]
SPECIFIERS = ["", "", "", ">=2", "<2", "==1.0", "==2.0", "==2.1rc1", ">=1.0a1", "==2.*", "!=3.0"]
MARKERS = [
    "",
    "",
    "",
    'sys_platform == "win32"',
    'python_version < "3.12"',
    'extra == "x"',
    'extra == "Y" and sys_platform != "win32"',
    'extra != "x"',
]
OPEN_MARKERS = ['python_full_version >= "3.12.4"', 'platform_release >= "5" or extra == "x"', 'os_name == "posix"']
EXTRAS = ["", "", "", "[x]", "[y]", "[X,y]"]
YANKED: list[bool | str] = [False, False, False, True, "broken"]
CLOSED_TARGETS = {
    "old": TargetSpec(python=("3.11",), platforms=("linux",)),
    "new": TargetSpec(python=("3.12",), platforms=("linux",)),
    "win": TargetSpec(python=("3.12",), platforms=("windows",)),
}
OPEN_TARGETS = {
    "python": TargetSpec(python=("3.12",)),
    "platform": TargetSpec(platforms=("windows",)),
    "hand": TargetSpec(markers={"os_name": ("posix",)}),
}
# Many small examples find more than few large ones here; drawing takes longer than choosing.
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def requirements(draw: DrawFn, *, is_closed: bool) -> str:
    name = draw(st.sampled_from([*NAMES, *NAMES, "missing"]))
    marker = draw(st.sampled_from(MARKERS if is_closed else MARKERS + OPEN_MARKERS))
    text = name + draw(st.sampled_from(EXTRAS)) + draw(st.sampled_from(SPECIFIERS))
    return f"{text}; {marker}" if marker else text


@st.composite
def offers(draw: DrawFn, *, is_closed: bool) -> Offer:
    python = draw(st.sampled_from([None, None, ">=3.12", "<3.12", ">=3.14"]))
    yanked = draw(st.sampled_from(YANKED))
    return Offer(
        requires=tuple(draw(st.lists(requirements(is_closed=is_closed), max_size=3))),
        extras=draw(st.sampled_from([(), ("x",), ("x", "Y")])),
        requires_python=python,
        page_python=draw(st.sampled_from([python, None])),
        yanked=yanked,
        has_metadata=draw(st.integers(0, 9)) > 0,
        source=draw(st.sampled_from([MetadataSource.ADVERTISED, MetadataSource.EGG_INFO])),
    )


@st.composite
def projects(draw: DrawFn, name: str, *, is_closed: bool) -> dict[str, Offer]:
    found = {}
    for version in draw(st.lists(st.sampled_from(VERSIONS), max_size=3, unique=True)):
        for tag in draw(st.lists(st.sampled_from([*TAGS, "sdist", "sdist"]), min_size=1, max_size=3, unique=True)):
            filename = f"{name}-{version}.tar.gz" if tag == "sdist" else f"{name}-{version}-{tag}.whl"
            offer = found[filename] = draw(offers(is_closed=is_closed))
            if tag == "sdist":
                needed = draw(st.lists(requirements(is_closed=is_closed), max_size=2))
                found[filename] = msgspec.structs.replace(offer, build_requires=tuple(needed))
    return found


@st.composite
def worlds(draw: DrawFn, *, is_closed: bool = False) -> World:
    targets = {**CLOSED_TARGETS} if is_closed else CLOSED_TARGETS | OPEN_TARGETS
    smallest = 1 if is_closed else 0
    named = draw(st.lists(st.sampled_from(sorted(targets)), min_size=smallest, max_size=3, unique=True))
    return World(
        projects={name: draw(projects(name, is_closed=is_closed)) for name in NAMES},
        targets={name: targets[name] for name in named},
        roots=tuple(draw(st.lists(roots(is_closed=is_closed), min_size=1, max_size=3, unique=True))),
        dependencies=Following(
            versions=draw(st.sampled_from(["newest", "all"])),
            extras=draw(st.sampled_from(["requested", "all", ("x",)])),
            max_depth=draw(st.integers(0, 3)),
            build=draw(st.integers(0, 3)) > 0,
        ),
        filters=Filters() if is_closed else draw(filters()),
    )


@st.composite
def source_worlds(draw: DrawFn) -> World:
    """Most releases have only an sdist, with what builds it."""
    projects = {}
    for name in NAMES:
        offered = projects[name] = dict[str, Offer]()
        for version in draw(st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=2, unique=True)):
            for tag in draw(st.sampled_from([(), (), ("py3-none-any",), ("cp312-abi3-win_amd64",)])):
                offered[f"{name}-{version}-{tag}.whl"] = draw(offers(is_closed=True))
            needed = draw(st.lists(requirements(is_closed=True), min_size=1, max_size=2))
            own = tuple(draw(st.lists(requirements(is_closed=True), max_size=1)))
            offered[f"{name}-{version}.tar.gz"] = Offer(requires=own, build_requires=tuple(needed))
    dependencies = Following(max_depth=draw(st.integers(0, 3)), build=draw(st.integers(0, 4)) > 0)
    named = draw(st.lists(st.sampled_from(sorted(CLOSED_TARGETS)), min_size=1, unique=True))
    return World(
        projects=projects,
        targets={name: CLOSED_TARGETS[name] for name in named},
        roots=(draw(st.sampled_from(NAMES)),),
        dependencies=dependencies,
    )


@st.composite
def roots(draw: DrawFn, *, is_closed: bool) -> str | Asked:
    if draw(st.booleans()):
        return draw(requirements(is_closed=is_closed).filter(lambda text: "extra" not in text))
    rules = ["*", "latest", "2 latest", ">=1.0", "1.0", "latest<2"]
    return Asked(requirement=draw(st.sampled_from(NAMES)), rule=draw(st.sampled_from(rules)))


@st.composite
def filters(draw: DrawFn) -> Filters:
    return Filters(
        formats=draw(st.sampled_from([None, None, ("wheel", "sdist"), ("wheel",)])),
        prereleases=draw(st.booleans()),
        keep_latest=draw(st.sampled_from([None, None, 1, 2])),
        exclude=draw(st.sampled_from([(), (), ("d",), ("b>=2",), ("c==1.0",)])),
    )


def replaced(world: World, **changes: object) -> World:
    return msgspec.structs.replace(world, **changes)


# --- the order leaves no trace --------------------------------------------------------------------------------------
@many
@given(worlds() | source_worlds(), st.integers(0, 99))
def test_the_order_of_answers_leaves_no_trace(world: World, seed: int) -> None:
    selection = choose(world)
    assert choose(world) == selection
    assert choose(world, last) == selection
    assert choose(world, shuffled(seed)) == selection
    assert choose(world, shuffled(seed + 100)) == selection


@st.composite
def silent_worlds(draw: DrawFn) -> World:
    """Some pages say no sizes, some files are larger than the filter allows, and of some nobody can tell."""
    sizes = st.sampled_from([(10, 10), (5000, 5000), (None, 10), (None, 10), (None, 5000), (None, None)])
    world = draw(worlds())
    projects = {
        name: {
            filename: msgspec.structs.replace(offer, **dict(zip(("size", "real_size"), draw(sizes), strict=True)))
            for filename, offer in files.items()
        }
        for name, files in world.projects.items()
    }
    limited = msgspec.structs.replace(world.filters, max_file_size="1 kB")
    return replaced(world, projects=projects, filters=limited)


@many
@given(silent_worlds(), st.integers(0, 99))
def test_a_size_that_must_be_asked_for_counts_like_one_that_is_listed(world: World, seed: int) -> None:
    """`max-file-size` keeps out the same files, in any order of answers, and what is said of them is the same."""
    told = {
        name: {filename: msgspec.structs.replace(offer, size=offer.real_size) for filename, offer in files.items()}
        for name, files in world.projects.items()
    }
    expected = unsized(choose(replaced(world, projects=told)))
    assert unsized(choose(world)) == expected
    assert unsized(choose(world, last)) == expected
    assert unsized(choose(world, shuffled(seed))) == expected


@many
@given(silent_worlds())
def test_no_size_is_asked_twice_or_where_the_page_says_it(world: World) -> None:
    _, wanted = drive(world)
    asked = [want.file for want in wanted if isinstance(want, WantSize)]
    assert len({file.identity for file in asked}) == len(asked)
    assert all(file.size is None for file in asked)
    unlimited = replaced(world, filters=msgspec.structs.replace(world.filters, max_file_size=None))
    assert not any(isinstance(want, WantSize) for want in drive(unlimited)[1])


def unsized(selection: Selection) -> Selection:
    """The same, where the sizes of files do not matter."""
    releases = (
        msgspec.structs.replace(r, files=tuple(msgspec.structs.replace(file, size=None) for file in r.files))
        for r in selection.releases
    )
    return msgspec.structs.replace(selection, releases=tuple(releases))


@many
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_leaves_no_trace(world: World, source: random.Random) -> None:
    """But for that of the files of a release, by which pip chooses between those that are alike."""
    mixed = replaced(
        world,
        projects={name: mixed_up(files, source) for name, files in world.projects.items()},
        targets=mixed_up(world.targets, source),
        roots=tuple(source.sample(world.roots, len(world.roots))),
    )
    assert by_name(choose(mixed)) == by_name(choose(world))


def by_name(selection: Selection) -> Selection:
    """The same, where the order of files does not matter."""
    releases = (
        msgspec.structs.replace(r, files=tuple(sorted(r.files, key=lambda file: file.filename)))
        for r in selection.releases
    )
    return msgspec.structs.replace(selection, releases=tuple(releases))


def mixed_up(values: dict[str, _Value], source: random.Random) -> dict[str, _Value]:
    return {key: values[key] for key in source.sample(list(values), len(values))}


# --- an oracle that knows nothing of masks, ledgers and waiting -----------------------------------------------------
class Oracle:
    """One machine: takes the newest release of what is asked for, then of what that requires, and so on."""

    def __init__(self, world: World, python: str, platform: str) -> None:
        self.world = world
        self.python = python
        self.platform = platform
        self.chosen: set[tuple[str, Version]] = set()
        self.files: set[str] = set()
        self.seen: set[tuple[object, ...]] = set()

    def fits(self, name: str, filename: str) -> bool:
        """Whether an installer on this machine accepts a file."""
        offer = self.world.projects[name][filename]
        bounds = [offer.page_python] + ([offer.requires_python] if offer.has_metadata else [])
        if any(isinstance(b, str) and not SpecifierSet(b).contains(self.python + ".0") for b in bounds):
            return False
        own = "cp" + self.python.replace(".", "")
        tag = filename.partition("-")[2].partition("-")[2]
        if not tag:
            return True
        python, abi, platform = tag.removesuffix(".whl").split("-")
        if python == "py3":
            return True
        right_python = python == own or (abi == "abi3" and int(python[3:]) <= int(own[3:]))
        return right_python and {"linux": "manylinux", "win32": "win_"}[self.platform] in platform

    def versions(self, name: str, *, is_pin: bool) -> dict[Version, list[str]]:
        """Version → its files that fit."""
        found: dict[Version, list[str]] = {}
        for filename, offer in self.world.projects.get(name, {}).items():
            version = parse_filename(filename, parse_name(name)).version
            assert version is not None
            if self.fits(name, filename) and (is_pin or not offer.yanked):
                found.setdefault(version, []).append(filename)
        return found

    def need(self, name: str, specifier: SpecifierSet, extras: set[str], count: int | None, depth: int) -> None:
        """Take the newest that match, and follow them; the roots have depth 0."""
        is_pin = len(specifier) == 1 and next(iter(specifier)).operator == "==" and "*" not in str(specifier)
        files = self.versions(name, is_pin=is_pin)
        matching = [v for v in sorted(files, reverse=True) if specifier.contains(v, prereleases=True)]
        finals = [v for v in matching if not v.is_prerelease]
        names_prerelease = any("a1" in str(s) or "rc1" in str(s) for s in specifier)
        taken = matching[:count] if is_pin or names_prerelease else (finals or matching)[:count]
        if names_prerelease and not is_pin and count is not None:
            taken += finals[:count]
        for version in taken:
            self.follow(name, version, files[version], extras, depth)

    def follow(self, name: str, version: Version, files: list[str], extras: set[str], depth: int) -> None:
        """Take a release, and what its files require."""
        key = (name, version, *sorted(files), *sorted(extras), depth)
        if key in self.seen:
            return
        self.seen.add(key)
        self.chosen.add((name, version))
        taken = [filename for filename in files if filename.endswith(".whl")] or files
        self.files.update(taken)
        limit = self.world.dependencies.max_depth
        for filename in taken:
            if self.world.projects[name][filename].has_metadata and not (limit and depth >= limit):
                required = self.required(name, version, filename, self.all_extras(filename, extras, depth))
                for requirement in (*required, *self.builds(name, filename)):
                    count = None if self.world.dependencies.versions == "all" else 1
                    own = {extra.lower() for extra in requirement.extras}
                    self.need(requirement.name, requirement.specifier, own, count, depth + 1 if limit else 1)

    def all_extras(self, filename: str, extras: set[str], depth: int) -> set[str]:
        """The extras of a root are more than those that were asked for."""
        asked = self.world.dependencies.extras
        more: tuple[str, ...] = ()
        if depth == 0 and asked != "requested":
            more = self.world.projects[filename[0]][filename].extras if asked == "all" else asked
        return {*extras, *(extra.lower() for extra in more)}

    def required(self, name: str, version: Version, filename: str, extras: set[str]) -> Iterator[Requirement]:
        """What a file requires with these extras and with those that they name in turn."""
        while True:
            held = [r for r in self.requirements(name, filename) if any(self.holds(r, e) for e in ("", *extras))]
            own = [r for r in held if r.name == name and r.specifier.contains(version, prereleases=True)]
            further = {extra.lower() for requirement in own for extra in requirement.extras}
            if further <= extras:
                yield from (requirement for requirement in held if requirement not in own)
                return
            extras |= further

    def builds(self, name: str, filename: str) -> list[Requirement]:
        """What must be installed to build a file; a wheel is not built."""
        if filename.endswith(".whl") or not self.world.dependencies.build:
            return []
        found = map(Requirement, self.world.projects[name][filename].build_requires)
        return [requirement for requirement in found if self.holds(requirement, "")]

    def requirements(self, name: str, filename: str) -> list[Requirement]:
        return [Requirement(text) for text in self.world.projects[name][filename].requires]

    def holds(self, requirement: Requirement, extra: str) -> bool:
        variables = {"python_version": self.python, "sys_platform": self.platform, "extra": extra}
        return requirement.marker is None or requirement.marker.evaluate(variables)


MACHINES = {"old": ("3.11", "linux"), "new": ("3.12", "linux"), "win": ("3.12", "win32")}


@settings(many, max_examples=150)
@given(worlds(is_closed=True) | source_worlds(), st.integers(0, 99))
def test_a_naive_oracle_chooses_the_same(world: World, seed: int) -> None:
    chosen: set[tuple[str, Version]] = set()
    files: set[str] = set()
    for target in world.targets:
        oracle = Oracle(world, *MACHINES[target])
        for root in world.asked():
            if root.marker is None or oracle.holds(Requirement(root.text), ""):
                oracle.need(root.project, root.rule.specifier, set(root.extras), root.rule.count, 0)
        chosen |= oracle.chosen
        files |= oracle.files
    selection = choose(world, shuffled(seed))
    assert {(release.project, Version(release.version)) for release in selection.releases} == chosen
    assert files_of(selection) == files


# --- more of one thing never means less of another ------------------------------------------------------------------
@many
@given(worlds(), st.sampled_from(sorted(CLOSED_TARGETS | OPEN_TARGETS)))
def test_adding_a_target_never_removes_a_file(world: World, target: str) -> None:
    if world.targets:  # without any, every machine counts already
        more = replaced(world, targets={**world.targets, target: (CLOSED_TARGETS | OPEN_TARGETS)[target]})
        assert files_of(choose(more)) >= files_of(choose(world))


@many
@given(worlds(), roots(is_closed=False))
def test_adding_a_root_never_removes_a_file(world: World, root: str | Asked) -> None:
    assert files_of(choose(replaced(world, roots=(*world.roots, root)))) >= files_of(choose(world))


@many
@given(worlds(), st.sampled_from(NAMES))
def test_excluding_a_project_never_adds_a_file(world: World, name: str) -> None:
    """Excluding releases may add older ones; excluding all of a project cannot."""
    excluding = msgspec.structs.replace(world.filters, exclude=(*world.filters.exclude, name))
    less = files_of(choose(replaced(world, filters=excluding)))
    assert less <= files_of(choose(world))
    assert not any(filename.startswith(f"{name}-") for filename in less)


@many
@given(worlds())
def test_following_further_never_removes_a_file(world: World) -> None:
    none = files_of(choose(replaced(world, dependencies=Following(max_depth=1))))
    assert none <= files_of(choose(replaced(world, dependencies=Following(max_depth=2))))
    assert none <= files_of(choose(replaced(world, dependencies=Following())))


# --- every release knows why ----------------------------------------------------------------------------------------
@many
@given(worlds())
@example(small({"a": {"1.0": ["c"], "2.0": ["c"]}, "c": {"1.0": ["a"]}}, Asked(requirement="a", rule="*")))
def test_every_release_is_reached_from_a_root(world: World) -> None:
    selection = choose(world)
    chosen = {(release.project, release.version) for release in selection.releases}
    origins = {root.origin for root in world.asked()}
    for release in selection.releases:
        assert release.files
        assert release.reasons
        assert len(set(release.reasons)) == len(release.reasons)
        for reason in release.reasons:
            assert reason.environments
            assert bool(reason.origin) is not bool(reason.parent_project)
            assert not reason.parent_project or (reason.parent_project, reason.parent_version) in chosen
        (kept,) = chains_of(selection, release.project, release.version)
        reasons = {(_named_by(reason), reason.requirement, reason.is_build) for reason in release.reasons}
        lasts = {(link.by, link.requirement, link.is_build) for link in (chain.links[-1] for chain in kept.chains)}
        assert lasts
        assert lasts <= reasons  # a chain passes no release twice, so not every reason ends one
        assert all(chain.links[0].by in origins for chain in kept.chains)


def _named_by(reason: Reason) -> str:
    return reason.origin or f"{reason.parent_project} {reason.parent_version}"


@many
@given(worlds())
def test_every_problem_names_what_was_asked_and_where(world: World) -> None:
    origins = {root.origin for root in world.asked()}
    for problem in choose(world).problems:
        assert problem.reason
        assert problem.environments
        assert problem.chain[0] in origins
        assert problem.is_root is (len(problem.chain) == 1)


# --- what is asked --------------------------------------------------------------------------------------------------
@many
@given(worlds(), st.integers(0, 99))
def test_nothing_is_asked_twice_or_for_nothing(world: World, seed: int) -> None:
    _, wanted = drive(world, shuffled(seed))
    pages = [want.project for want in wanted if isinstance(want, WantPage)]
    files = [want.file.identity for want in wanted if isinstance(want, WantMetadata)]
    assert len(set(pages)) == len(pages)
    assert len(set(files)) == len(files)
    assert {want.file.identity for want in drive(world, first)[1] if isinstance(want, WantMetadata)} == set(files)
    chooser = world.chooser()
    for want in wanted:
        if isinstance(want, WantMetadata):
            page = world.page(want.project)
            assert page is not None
            candidates = [c for release in chooser.candidates(page).releases for c in release.candidates]
            assert any(c.file == want.file and c.listed for c in candidates), "no environment can use it"


@many
@given(worlds())
def test_without_following_only_the_pages_of_roots_are_asked_for(world: World) -> None:
    selection, wanted = drive(replaced(world, dependencies=Following(follow=False)))
    assert {want.project for want in wanted} <= {root.project for root in world.asked()}
    assert all(isinstance(want, WantPage) for want in wanted)
    assert all(not reason.parent_project for release in selection.releases for reason in release.reasons)


# --- the plan -------------------------------------------------------------------------------------------------------
def held(selection: Selection) -> dict[str, Holding]:
    def holding(filename: str) -> Holding:
        return Holding(filename=filename, blob=Blob(sha256="a" * 64, blake2b_256="b" * 64, size=1000))  # type: ignore[arg-type]

    return {planned.file.identity: holding(planned.file.filename) for planned in planned_files(selection)}


@many
@given(worlds())
def test_a_plan_for_what_is_there_changes_nothing(world: World) -> None:
    selection = choose(world)
    plan = make_plan(selection, selection, held(selection))
    assert plan.changes_nothing
    assert sum(release.kept for release in plan.releases) == plan.total_files == len(files_of(selection))
    assert plan.total_bytes == 1000 * plan.total_files


@many
@given(worlds(), st.lists(roots(is_closed=False), min_size=1, max_size=2).map(tuple), st.randoms(use_true_random=False))
def test_a_plan_is_the_exact_difference(world: World, other: tuple[str | Asked, ...], source: random.Random) -> None:
    selection, current = choose(world), choose(replaced(world, roots=other))
    there = held(selection) | held(current)
    holdings = {identity: there[identity] for identity in source.sample(sorted(there), len(there) // 2)}
    plan = make_plan(selection, current, holdings)
    wanted, listed = set(held(selection)), set(held(current))
    assert {planned.file.identity for planned in plan.fetch} == wanted - holdings.keys()
    assert {planned.file.identity for planned in plan.removed} == listed - wanted
    assert plan.fetch_bytes == sum(release.fetch_bytes for release in plan.releases) == 1000 * len(plan.fetch)
    assert sum(len(release.added) for release in plan.releases) == len(wanted - listed)
    assert sum(len(release.removed) for release in plan.releases) == len(listed - wanted)
    assert sum(release.kept for release in plan.releases) == len(wanted & listed)

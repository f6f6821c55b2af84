"""Properties of the resolution, over small worlds of every kind, and trying everything, which must agree with it.

What pip and uv accept is written down here once more, as each of them does it, without masks, readings and learning.
"""

from __future__ import annotations

import random
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pypim.core.model import MetadataSource
from pypim.core.target import TargetSpec
from pypim.core.universe import Reading
from tests.core.offers import Asked, Following, Offer, World, last, releases_of, resolve, shuffled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hypothesis.strategies import DrawFn

    from pypim.core.resolve import Resolution
    from pypim.core.selection import Selection

NAMES = ["a", "b", "c", "d"]
VERSIONS = ["1.0", "2.0", "3.0"]
ODD_VERSIONS = ["1.0", "2.0", "2.0.post1", "3.0rc1", "3.0"]
SPECIFIERS = ["", "", "", ">=2", "<2", "==1.0", "==2.0", "!=3.0", "<3", ">=2,<3"]
ODD_SPECIFIERS = [*SPECIFIERS, ">=3.0rc1", "==3.0rc1", ">2.0", "==2.*", "~=2.0"]
MARKERS = [
    *("", "", "", ""),
    *('sys_platform == "win32"', 'sys_platform != "win32"', 'python_version < "3.12"'),
    *('extra == "x"', 'extra == "x"', 'extra == "y" and sys_platform != "win32"'),
]
EXTRAS = ["", "", "", "[x]", "[y]", "[x,y]"]
ANY, LINUX, WINDOWS = "py3-none-any", "py3-none-manylinux_2_17_x86_64", "py3-none-win_amd64"
TAGS = [(ANY,), (ANY,), (ANY,), (LINUX,), (WINDOWS,), (LINUX, WINDOWS), (ANY, LINUX)]
PYTHONS = [None, None, None, None, ">=3.12", ">=3.14"]
ODD_PYTHONS = [*PYTHONS, "<3.12", ">=3.8,<3.12"]
TARGETS = {"t": TargetSpec(python=("3.11", "3.12"), platforms=("linux", "windows"))}
MACHINES = [(python, platform) for python in ("3.11", "3.12") for platform in ("linux", "win32")]
"""In the order of the environments."""
PIP, UV = Reading.PIP, Reading.UV

many = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# --- worlds ---------------------------------------------------------------------------------------------------------
@st.composite
def requirements(draw: DrawFn, *, is_odd: bool) -> str:
    name = draw(st.sampled_from([*NAMES, *NAMES, *NAMES, "missing"]))
    marker = draw(st.sampled_from(MARKERS))
    text = name + draw(st.sampled_from(EXTRAS)) + draw(st.sampled_from(ODD_SPECIFIERS if is_odd else SPECIFIERS))
    return f"{text}; {marker}" if marker else text


@st.composite
def projects(draw: DrawFn, name: str, *, is_odd: bool, has_yanked: bool, has_sdists: bool = False) -> dict[str, Offer]:
    found = {}
    versions = ODD_VERSIONS if is_odd and not has_yanked else VERSIONS
    for version in draw(st.lists(st.sampled_from(versions), min_size=1, unique=True)):
        python = draw(st.sampled_from(ODD_PYTHONS if is_odd else PYTHONS))
        offer = Offer(
            requires=tuple(draw(st.lists(requirements(is_odd=is_odd), max_size=3))),
            extras=("x", "y"),
            requires_python=python,
            page_python=python if is_odd else draw(st.sampled_from([python, python, None])),
            yanked=has_yanked and draw(st.integers(0, 5)) == 5,
        )
        for tag in draw(st.sampled_from(TAGS)):
            own = draw(st.lists(requirements(is_odd=is_odd), max_size=2)) if is_odd and draw(st.booleans()) else None
            needed = offer.requires if own is None else tuple(own)
            found[f"{name}-{version}-{tag}.whl"] = msgspec.structs.replace(offer, requires=needed)
        if has_sdists and draw(st.booleans()):
            source = draw(st.lists(requirements(is_odd=False), max_size=2)) if draw(st.booleans()) else offer.requires
            found[f"{name}-{version}.tar.gz"] = msgspec.structs.replace(
                offer, requires=tuple(source), source=MetadataSource.PKG_INFO
            )
    return found


@st.composite
def worlds(draw: DrawFn, *, is_odd: bool = False, has_sdists: bool = False) -> World:
    """With `is_odd` there is what pip and uv see differently, too: yanked files or pre-releases, not both.

    With `has_sdists` there are sdists beside wheels, some of which require something else.
    """
    asked = [*NAMES, "a[x]", "a[x,y]", "a<3", "b[y]>=2", "a==1.0", "a[x]==2.0", "b==1.0", "c[y]==3.0"]
    has_yanked = is_odd and draw(st.booleans())
    return World(
        projects={
            name: draw(projects(name, is_odd=is_odd, has_yanked=has_yanked, has_sdists=has_sdists)) for name in NAMES
        },
        targets=TARGETS,
        roots=tuple(draw(st.lists(st.sampled_from(asked), min_size=1, max_size=3, unique=True))),
        dependencies=Following(versions="resolve"),
    )


# --- trying everything ----------------------------------------------------------------------------------------------
@lru_cache(maxsize=4096)
def _requirement(text: str) -> Requirement:
    return Requirement(text)


@lru_cache(maxsize=4096)
def _holds(marker: Marker | None, python: str, platform: str, extra: str) -> bool:
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": platform}
    return marker is None or marker.evaluate({**environment, "extra": extra})


class Installer:
    """pip or uv on one machine, which tries every combination of releases that an index offers."""

    def __init__(
        self, offered: Mapping[str, Mapping[str, Offer]], python: str, platform: str, reading: Reading
    ) -> None:
        self.python = python
        self.platform = platform
        self.reading = reading
        self.releases: dict[str, dict[Version, Offer]] = {}
        """Project → version → the file that would be installed."""
        self.yanked: set[tuple[str, Version]] = set()
        for name, files in offered.items():
            found = self.releases[name] = dict[Version, Offer]()
            for filename, offer in sorted(files.items(), key=lambda item: not item[0].endswith("any.whl")):
                version = Version(filename.removesuffix(".tar.gz").split("-")[1])
                if self._suits(filename) and self._allows(offer.listed(filename).requires_python):
                    found[version] = offer  # the best comes last
                    if offer.yanked:
                        self.yanked.add((name, version))
            self._add_sdists(found, files)
            self.releases[name] = {v: offer for v, offer in found.items() if self._allows(offer.requires_python)}

    def _add_sdists(self, found: dict[Version, Offer], files: Mapping[str, Offer]) -> None:
        """Where nothing else suits: pip builds one, and uv reads the first wheel in its place."""
        for filename, offer in files.items():
            name, _, version = filename.removesuffix(".tar.gz").partition("-")
            if filename.endswith(".whl") or Version(version) in found:
                continue
            wheels = sorted(other for other in files if other.startswith(f"{name}-{version}-"))
            read = files[wheels[0]] if wheels and self.reading is UV else offer
            if self._allows(offer.listed(filename).requires_python):
                found[Version(version)] = read

    def _suits(self, filename: str) -> bool:
        if filename.endswith(".tar.gz"):
            return False
        return filename.endswith("any.whl") or {"linux": "manylinux", "win32": "win_"}[self.platform] in filename

    def _allows(self, bound: str | None) -> bool:
        if bound and self.reading is UV:  # which minds lower bounds alone
            bound = ",".join(part for part in bound.split(",") if part.startswith(">"))
        return not bound or f"{self.python}.0" in SpecifierSet(bound)

    def installs(self, text: str) -> bool:
        """Whether some combination satisfies a requirement and all that it needs."""
        return self._try(_requirement(text), {})

    def _try(self, root: Requirement, chosen: dict[str, Version]) -> bool:
        reached = self._reach(root, chosen)
        if any(
            not specifier.contains(chosen[name], prereleases=True)
            for name, specifier in reached.items()
            if name in chosen
        ):
            return False
        missing = next((name for name in reached if name not in chosen), None)
        if missing is None:
            return all(self._takes(name, version, reached[name], root) for name, version in chosen.items())
        versions = self.releases.get(missing, {})
        return any(self._try(root, {**chosen, missing: version}) for version in versions)

    def _takes(self, name: str, version: Version, specifier: SpecifierSet, root: Requirement) -> bool:
        """Whether it would take that version where nothing but this is required of a project."""
        is_direct = name == root.name  # nothing but the root brings an installer to look at it
        pinning = root.specifier if is_direct else specifier
        is_pin = any(part.operator == "==" and not part.version.endswith("*") for part in pinning)
        if (name, version) in self.yanked and not (is_pin and (self.reading is PIP or is_direct)):
            return False
        return self.reading is UV or version in specifier.filter(self.releases[name])

    def _reach(self, root: Requirement, chosen: dict[str, Version]) -> dict[str, SpecifierSet]:
        """What is required of every project that is reached, as far as releases are chosen."""
        found: dict[str, SpecifierSet] = {}
        extras: dict[str, set[str]] = {}
        waiting: list[Requirement] = [root]
        seen: set[tuple[str, str]] = set()
        while waiting:
            required = waiting.pop(0)
            found[required.name] = found.get(required.name, SpecifierSet()) & required.specifier
            asked = extras.setdefault(required.name, set())
            asked |= {"", *required.extras}
            if required.name in chosen:
                for extra in sorted(asked):
                    if (required.name, extra) not in seen:
                        seen.add((required.name, extra))
                        waiting += self._needs(required.name, chosen[required.name], extra)
        return found

    def _needs(self, name: str, version: Version, extra: str) -> Iterator[Requirement]:
        for text in self.releases[name][version].requires:
            requirement = _requirement(text)
            if not _holds(requirement.marker, self.python, self.platform, extra):
                continue
            if requirement.name == name and requirement.specifier.contains(version, prereleases=True):
                # What it requires of itself brings nobody to look at it.
                requirement = _requirement(f"{name}[{','.join(requirement.extras)}]")
            yield requirement


def held(world: World, selection: Selection) -> dict[str, dict[str, Offer]]:
    """What a mirror of a selection offers."""
    return {
        project: {
            file.filename: world.projects[project][file.filename]
            for release in selection.releases
            if release.project == project
            for file in release.files
        }
        for project in {release.project for release in selection.releases}
    }


def installers(offered: Mapping[str, Mapping[str, Offer]], reading: Reading) -> list[Installer]:
    """One for each environment."""
    return [Installer(offered, python, platform, reading) for python, platform in MACHINES]


def found_by(resolution: Resolution, text: str, *, number: int, reading: Reading) -> dict[str, bool]:
    """Root release → whether the resolution found one for pip, or for uv, in an environment."""
    found: dict[str, bool] = {}
    for pair in resolution.pairs:
        if pair.root.text == text and pair.mask >> number & 1:
            is_found = not pair.failure and pair.reading in {Reading.BOTH, reading}
            found[pair.release.text] = found.get(pair.release.text, False) or is_found
    return found


def pinned(text: str, version: str) -> str:
    """The same root, but of one release."""
    requirement = _requirement(text)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}=={version}"


# --- what must hold -------------------------------------------------------------------------------------------------
def check_pairs(world: World, reading: Reading) -> None:
    """Each root is found to be installable exactly where it is, and each release that was found installs."""
    resolution, _ = resolve(world)
    for number, installer in enumerate(installers(world.projects, reading)):
        for root in map(str, world.roots):
            found = found_by(resolution, root, number=number, reading=reading)
            if reading is UV or not any(found.values()):  # what is held for a root without a pin, pip need not take
                assert any(found.values()) is installer.installs(root), (root, MACHINES[number])
            for version, is_found in found.items():
                assert not is_found or installer.installs(pinned(root, version)), (root, version, MACHINES[number])


@many
@given(worlds())
def test_a_root_is_found_installable_exactly_where_trying_everything_finds_it_so(world: World) -> None:
    check_pairs(world, UV)
    check_pairs(world, PIP)


@many
@given(worlds(is_odd=True))
def test_what_pip_and_uv_see_differently_is_found_for_each(world: World) -> None:
    """Pre-releases, yanked files, upper bounds, several wheels with different metadata."""
    check_pairs(world, UV)
    check_pairs(world, PIP)


@many
@given(worlds(has_sdists=True))
def test_what_uv_reads_in_place_of_an_sdist_is_found(world: World) -> None:
    """uv takes it that a wheel for another machine requires what the sdist beside it does."""
    check_pairs(world, UV)
    check_pairs(world, PIP)


@many
@given(worlds(is_odd=True) | worlds() | worlds(has_sdists=True))
def test_what_installs_from_the_upstream_installs_from_the_mirror(world: World) -> None:
    """The promise: every root, as it was asked for and pinned to what is held of it, on every machine."""
    resolution, selection = resolve(world)
    for reading in (UV, PIP):
        upstream, mirror = installers(world.projects, reading), installers(held(world, selection), reading)
        for number, installer in enumerate(upstream):
            for root in map(str, world.roots):
                versions = found_by(resolution, root, number=number, reading=reading)
                for text in (root, *(pinned(root, version) for version in versions)):
                    assert mirror[number].installs(text) or not installer.installs(text), (text, MACHINES[number])


@many
@given(worlds(is_odd=True) | worlds() | worlds(has_sdists=True))
@example(
    World(
        projects={
            "a": {
                f"a-2.0-{ANY}.whl": Offer(requires=('a[x]; extra == "y"', "missing"), extras=("x", "y")),
                f"a-3.0-{ANY}.whl": Offer(requires=("b",), extras=("x", "y")),
            },
            "b": {f"b-1.0-{ANY}.whl": Offer(requires=("c>=2",))},
            "c": {f"c-1.0-{ANY}.whl": Offer()},
            "d": {f"d-1.0-{ANY}.whl": Offer(requires=("a<3",))},
        },
        targets=TARGETS,
        roots=("a[y]<3", "d"),
        dependencies=Following(versions="resolve"),
    )
)
def test_every_reason_names_a_root_or_a_release_that_is_held(world: World) -> None:
    """And so does every problem: nothing is held because of what nobody needs."""
    selection = resolve(world)[1]
    chosen = {(release.project, release.version) for release in selection.releases}
    reasons = [reason for release in selection.releases for reason in release.reasons]
    assert {(r.parent_project, r.parent_version) for r in reasons if not r.origin} <= chosen
    parents = {problem.chain[-1].split(",")[0] for problem in selection.problems if not problem.is_root}
    assert parents <= {f"{project} {version}" for project, version in chosen}


@many
@given(worlds(is_odd=True) | worlds(), st.integers(0, 99))
def test_the_order_of_answers_leaves_no_trace(world: World, seed: int) -> None:
    selection = resolve(world)[1]
    assert resolve(world)[1] == selection
    assert resolve(world, last)[1] == selection
    assert resolve(world, shuffled(seed))[1] == selection
    assert resolve(world, shuffled(seed + 100))[1] == selection


@many
@given(worlds(is_odd=True) | worlds(has_sdists=True))
def test_a_line_of_a_file_is_resolved_as_it_is_by_itself(world: World) -> None:
    """Where it takes the newest of everything, that is judged but once for all lines; the outcome is the same."""
    lines = tuple(Asked(requirement=root, file="requirements.txt") for root in world.roots if isinstance(root, str))
    alone, together = (resolve(one) for one in (world, msgspec.structs.replace(world, roots=lines)))
    assert outcomes_of(together[0]) == outcomes_of(alone[0])
    assert {*releases_of(alone[1])} <= {*releases_of(together[1])}


def outcomes_of(resolution: Resolution) -> dict[tuple[object, ...], int]:
    """What became of each root release in each reading, and in which environments."""
    found: dict[tuple[object, ...], int] = {}
    for pair in resolution.pairs:
        key = (pair.root.text, *pair.release.key, pair.reading, pair.failure)
        found[key] = found.get(key, 0) | pair.mask
    return found


@many
@given(worlds(is_odd=True) | worlds(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_given_leaves_no_trace(world: World, source: random.Random) -> None:
    mixed = msgspec.structs.replace(
        world,
        projects={name: world.projects[name] for name in source.sample(NAMES, len(NAMES))},
        roots=tuple(source.sample(world.roots, len(world.roots))),
    )
    assert resolve(mixed)[1] == resolve(world)[1]


@many
@given(worlds(is_odd=True) | worlds(), st.sampled_from(NAMES))
def test_another_root_takes_nothing_away(world: World, name: str) -> None:
    """All that is held without it is held with it."""
    assume(name not in world.roots)
    alone, more = resolve(world)[1], resolve(msgspec.structs.replace(world, roots=(*world.roots, name)))[1]
    with_more = held(world, more)
    assert all(files.items() <= with_more[project].items() for project, files in held(world, alone).items())


@many
@given(worlds(is_odd=True) | worlds())
def test_environments_together_are_each_as_it_is_alone(world: World) -> None:
    """Which root releases can be installed, in whose reading, and that all it takes for that is held."""
    together, selection = resolve(world)
    for number, (python, platform) in enumerate(MACHINES):
        named = {"linux": "linux", "win32": "windows"}[platform]
        target = {"t": TargetSpec(python=(python,), platforms=(named,))}
        alone, less = resolve(msgspec.structs.replace(world, targets=target))
        for root in map(str, world.roots):
            for reading in (PIP, UV):
                found = found_by(together, root, number=number, reading=reading)
                assert found == found_by(alone, root, number=0, reading=reading)
                offered = Installer(held(world, selection), python, platform, reading)
                few = Installer(held(world, less), python, platform, reading)
                # Of fewer releases an installer may take a pre-release that it passes over beside finals.
                whole = Installer(world.projects, python, platform, reading)
                assert offered.installs(root) or not (few.installs(root) and whole.installs(root))

"""Small random worlds for property tests: at most eight projects of at most four releases that need each other.

Names are `p0` … `p7`; requirements mostly name projects that exist and versions that may.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from tests.worlds.world import FileSpec, ProjectSpec, ReleaseSpec, World, legacy, sdist, wheel

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

MAX_PROJECTS = 8
MAX_RELEASES = 4
VERSIONS = ["0.9", "1.0", "1.5", "2.0", "2.1.post1", "3.0a1", "3.0", "1!0.1", "4.0.dev1", "2.0+local.1"]
YANKED: list[bool | str] = [False, False, False, True, 'broken "badly" <&>']
EXTRAS = ["fast", "Test_All"]
MARKERS = [
    'python_version < "3.9"',
    'python_version >= "3.12"',
    'sys_platform == "win32"',
    'sys_platform != "darwin"',
    'platform_machine == "aarch64"',
    'implementation_name == "cpython" and os_name == "posix"',
    'platform_release >= "5"',
]
TAGS = [
    "py3-none-any",
    "py2.py3-none-any",
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp312-abi3-win_amd64",
    "cp313-cp313-macosx_11_0_arm64",
    "pp310-pypy310_pp73-musllinux_1_2_x86_64",
]
LEGACY_KINDS = ["egg", "wininst", "msi", "rpm", "dumb"]

versions: SearchStrategy[str] = st.sampled_from(VERSIONS)
markers: SearchStrategy[str] = st.sampled_from(MARKERS)


@st.composite
def specifiers(draw: DrawFn) -> str:
    """Draw a specifier set, often empty."""
    shape = draw(st.sampled_from(["", "", ">=", "<", "==", "!=", "~=", "range", "wildcard"]))
    if not shape:
        return ""
    version = draw(st.sampled_from(["0.9", "1.0", "1.5", "2.0", "3.0"]))
    if shape == "range":
        return f">={version},<{draw(st.sampled_from(['2.0', '3.0', '5']))}"
    return f"=={version[0]}.*" if shape == "wildcard" else f"{shape}{version}"


@st.composite
def requirements(draw: DrawFn, names: list[str] | None = None) -> str:
    """Draw a requirement on one of the projects, with extras and a marker now and then."""
    name = draw(st.sampled_from(names or [f"p{n}" for n in range(MAX_PROJECTS)]))
    extra = draw(st.sampled_from(["", "", "", f"[{EXTRAS[0]}]", f"[{EXTRAS[1].lower()}]"]))
    marker = draw(
        st.one_of(st.just(""), st.just(""), markers, st.sampled_from(EXTRAS).map(lambda e: f"extra == '{e}'"))
    )
    return f"{name}{extra}{draw(specifiers())}{'; ' if marker else ''}{marker}"


@st.composite
def file_sets(draw: DrawFn, names: list[str]) -> tuple[FileSpec, ...]:
    """Draw the files of a release, each with another name: wheels, perhaps an sdist, perhaps a relic."""
    tags = draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=3, unique=True))
    own = st.one_of(st.none(), st.none(), st.lists(requirements(names), max_size=2))
    files = [wheel(tag, requires=draw(own)) for tag in tags]
    source = draw(st.sampled_from(["", "", "2.1", "2.2"]))
    files += [sdist(metadata_version=source)] if source else []
    relic = draw(st.sampled_from(["", "", "", *LEGACY_KINDS]))
    files += [legacy(relic)] if relic else []
    return tuple(files if draw(st.integers(0, 9)) else files[len(tags) :] or files)


@st.composite
def releases(draw: DrawFn, version: str, names: list[str]) -> ReleaseSpec:
    """Draw a release of the given version."""
    return ReleaseSpec(
        version=version,
        files=draw(file_sets(names)),
        requires=tuple(draw(st.lists(requirements(names), max_size=3))),
        requires_python=draw(st.sampled_from([None, None, ">=3.9", ">=3.12", "<3", ">=3.5.*"])),
        yanked=draw(st.sampled_from(YANKED)),
    )


@st.composite
def projects(draw: DrawFn, name: str, names: list[str]) -> ProjectSpec:
    """Draw a project of the given name."""
    chosen = draw(st.lists(versions, min_size=1, max_size=MAX_RELEASES, unique=True))
    status = draw(st.sampled_from(["active", "active", "active", "active", "archived", "deprecated", "quarantined"]))
    return ProjectSpec(name=name, releases=tuple(draw(releases(version, names)) for version in chosen), status=status)


@st.composite
def worlds(draw: DrawFn, max_projects: int = MAX_PROJECTS) -> World:
    """Draw a world; requirements may name one project that is not there."""
    count = draw(st.integers(1, max_projects))
    names = [f"p{n}" for n in range(count)]
    wanted = [*names, "p99"] if draw(st.booleans()) else names
    return World.of(*(draw(projects(name, wanted)) for name in names))

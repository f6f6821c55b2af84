"""Targets against packaging's own answer for this interpreter and against the real uv for every platform name."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging import tags
from packaging.markers import default_environment
from packaging.tags import Tag, parse_tag

from pypim.core.errors import InvalidRequirement
from pypim.core.platforms import SHORT_NAMES, parse_platform
from pypim.core.target import Environment, TargetSpec, environments, machine_platform, python_allows, wheel_rank

LINUX = "manylinux_2_28_x86_64"


def only(**fields: tuple[str, ...] | dict[str, tuple[str, ...]]) -> Environment:
    (found,) = environments({"t": TargetSpec(**fields)})  # type: ignore[arg-type]
    return found


def platforms_of(name: str) -> set[str]:
    return {tag.platform for tag in only(python=("3.12",), platforms=(name,)).tags or ()} - {"any"}


# --- this very machine ----------------------------------------------------------------------------------------------
@pytest.mark.skipif(sys.implementation.name != "cpython", reason="packaging is asked about CPython")
def test_this_machine_as_packaging_sees_it() -> None:
    """The tags of a target for this machine are those of `packaging.tags.sys_tags()`, in the same order."""
    here = only(
        python=(f"{sys.version_info.major}.{sys.version_info.minor}",),
        platforms=(machine_platform(tags.platform_tags()),),
    )
    assert here.tags is not None
    assert list(here.tags) == list(dict.fromkeys(tags.sys_tags()))
    actual = default_environment()
    open_here = {"python_full_version", "implementation_version", "platform_release", "platform_version"}
    assert here.variables == {key: value for key, value in actual.items() if key not in open_here}


def test_the_name_of_a_machine_is_its_newest_tag_with_a_c_library() -> None:
    assert (
        machine_platform(["linux_x86_64", "manylinux_2_36_x86_64", "manylinux_2_35_x86_64"]) == "manylinux_2_36_x86_64"
    )
    assert machine_platform(["linux_aarch64", "musllinux_1_2_aarch64"]) == "musllinux_1_2_aarch64"
    assert machine_platform(["win_amd64"]) == "win_amd64"
    assert machine_platform(["macosx_14_0_arm64", "macosx_14_0_universal2"]) == "macosx_14_0_arm64"


# --- uv -------------------------------------------------------------------------------------------------------------
UV = Path(sys.executable).parent / "uv"
PROBED_TAGS = [
    "any",
    *(f"linux_{arch}" for arch in ("x86_64", "aarch64", "riscv64", "i686")),
    *(f"manylinux{year}_{arch}" for year in (1, 2010, 2014) for arch in ("x86_64", "aarch64")),
    *(f"manylinux_2_{minor}_x86_64" for minor in (4, 5, 12, 17, 27, 28, 29, 31, 34, 40, 41)),
    *(f"manylinux_2_{minor}_aarch64" for minor in (16, 17, 28, 29, 31, 40, 41)),
    *(f"manylinux_2_{minor}_riscv64" for minor in (31, 39, 40)),
    *(f"musllinux_1_{minor}_{arch}" for minor in (0, 1, 2, 3) for arch in ("x86_64", "aarch64")),
    *("win32", "win_amd64", "win_arm64"),
    *(f"macosx_{major}_0_{kind}" for major in (11, 12, 13, 14, 15) for kind in ("arm64", "x86_64", "universal2")),
    *(f"macosx_10_{minor}_{kind}" for minor in (4, 9, 16) for kind in ("arm64", "x86_64", "universal2", "intel")),
    *(f"android_{level}_{abi}" for level in (16, 21, 24, 25) for abi in ("arm64_v8a", "x86_64")),
    *(f"ios_{version}_{abi}_iphonesimulator" for version in ("12_0", "13_0", "13_1") for abi in ("arm64", "x86_64")),
    *(f"ios_{version}_arm64_iphoneos" for version in ("12_0", "12_9", "13_0", "13_1")),
    *(f"{name}_{year}_0_wasm32" for name in ("pyodide", "pyemscripten") for year in (2024, 2025)),
]
PROBED_MARKERS = {
    "sys_platform": ["linux", "win32", "darwin", "android", "ios", "emscripten"],
    "os_name": ["posix", "nt"],
    "platform_system": ["Linux", "Windows", "Darwin", "Android", "iOS", "Emscripten"],
    "platform_machine": ["x86_64", "AMD64", "ARM64", "arm64", "aarch64", "x86", "riscv64", "wasm32"],
    "implementation_name": ["cpython", "pypy"],
    "platform_python_implementation": ["CPython", "PyPy"],
    "python_version": ["3.12", "3.13"],
}


def make_wheel(folder: Path, name: str, version: str, platform: str, requirements: list[str] | None = None) -> None:
    escaped = name.replace("-", "_")
    info = f"{escaped}-{version}.dist-info"
    lines = [f"Requires-Dist: {requirement}" for requirement in requirements or ()]
    metadata = "\n".join(["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *lines, ""])
    with zipfile.ZipFile(folder / f"{escaped}-{version}-py3-none-{platform}.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-{platform}\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def probes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wheels that tell by being chosen: tag-N at version 2 has one platform tag, marker-X-N a marker."""
    folder = tmp_path_factory.mktemp("probes")
    requirements = []
    for number, platform in enumerate(PROBED_TAGS):
        make_wheel(folder, f"tag-{number}", "1", "any")
        make_wheel(folder, f"tag-{number}", "2", platform)
        requirements.append(f"tag-{number}")
    for variable, values in PROBED_MARKERS.items():
        for number, value in enumerate(values):
            name = f"marker-{variable.replace('_', '-')}-{number}"
            make_wheel(folder, name, "1", "any")
            requirements.append(f"{name}; {variable} == '{value}'")
    make_wheel(folder, "root", "1", "any", requirements)
    return folder


def ask_uv(probes: Path, platform: str) -> dict[str, str]:
    arguments = "pip compile - --quiet --no-header --no-annotate --no-config --no-python-downloads --offline --no-index"
    command = [str(UV), *arguments.split(), "--find-links", str(probes), "--python", sys.executable]
    command += ["--python-version", "3.12", "--python-platform", platform, "--cache-dir", str(probes / "cache")]
    answer = subprocess.run(command, input="root\n", capture_output=True, text=True, check=True, timeout=120)
    return dict(line.split("==") for line in answer.stdout.splitlines())


def uv_platform_names() -> list[str]:
    """The names that the installed uv knows, from its own help."""
    answer = subprocess.run([str(UV), "pip", "compile", "--help"], capture_output=True, text=True, check=True)
    after = " ".join(answer.stdout.split()).partition("--python-platform <PYTHON_PLATFORM>")[2]
    return re.findall(r"[\w-]+", after.partition("[possible values:")[2].partition("]")[0])


def test_every_platform_name_of_uv_is_known() -> None:
    names = uv_platform_names()
    assert {"linux", "windows", "macos"} <= set(names)
    assert set(names) <= set(SHORT_NAMES)


def test_a_platform_name_means_what_uv_means(probes: Path) -> None:
    """Same wheels accepted, same marker values, for every name that uv knows."""
    for name in uv_platform_names():
        chosen = ask_uv(probes, name)
        ours = only(python=("3.12",), platforms=(name,))
        uvs = {platform for n, platform in enumerate(PROBED_TAGS) if chosen[f"tag-{n}"] == "2"} - {"any"}
        mine = {p for p in PROBED_TAGS if wheel_rank(ours, parse_tag(f"py3-none-{p}")) is not None} - {"any"}
        assert mine == uvs, name
        for variable, values in PROBED_MARKERS.items():
            holds = [v for n, v in enumerate(values) if f"marker-{variable.replace('_', '-')}-{n}" in chosen]
            assert holds == [ours.variables[variable]], (name, variable)


# --- platforms ------------------------------------------------------------------------------------------------------
def test_glibc_goes_down_to_the_oldest_of_the_architecture() -> None:
    """PEP 600: a tag promises that the wheel runs on that glibc and every newer one."""
    assert {"manylinux_2_5_x86_64", "manylinux1_x86_64", "manylinux2010_x86_64", LINUX, "linux_x86_64"} <= platforms_of(
        LINUX
    )
    assert "manylinux_2_29_x86_64" not in platforms_of(LINUX)
    assert platforms_of("manylinux2014_aarch64") == {"linux_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"}
    assert platforms_of("manylinux1_x86_64") == {"linux_x86_64", "manylinux_2_5_x86_64", "manylinux1_x86_64"}


def test_musl_goes_down_within_its_major_version() -> None:
    """PEP 656."""
    expected = {"linux_aarch64", *(f"musllinux_1_{minor}_aarch64" for minor in (2, 1, 0))}
    assert platforms_of("musllinux_1_2_aarch64") == expected


def test_a_mac_accepts_older_and_universal_wheels() -> None:
    assert {"macosx_11_0_arm64", "macosx_10_9_universal2", "macosx_14_0_universal2"} <= platforms_of(
        "macosx_14_0_arm64"
    )
    assert not {"macosx_15_0_arm64", "macosx_10_9_x86_64"} & platforms_of("macosx_14_0_arm64")
    assert {"macosx_10_9_x86_64", "macosx_10_9_intel"} <= platforms_of("macosx_14_0_x86_64")
    assert "macosx_14_5_arm64" in platforms_of("macosx_14_5_arm64")


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ("win32", ("win32", "nt", "Windows", "x86")),
        ("win_amd64", ("win32", "nt", "Windows", "AMD64")),
        ("win_arm64", ("win32", "nt", "Windows", "ARM64")),
        ("manylinux2014_aarch64", ("linux", "posix", "Linux", "aarch64")),
        ("musllinux_1_2_x86_64", ("linux", "posix", "Linux", "x86_64")),
        ("linux_armv7l", ("linux", "posix", "Linux", "armv7l")),
        ("macosx_14_0_arm64", ("darwin", "posix", "Darwin", "arm64")),
        ("emscripten_3_1_58_wasm32", ("emscripten", "posix", "Emscripten", "wasm32")),
    ],
)
def test_marker_values_are_those_of_cpython_there(platform: str, expected: tuple[str, ...]) -> None:
    values = only(python=("3.12",), platforms=(platform,)).variables
    keys = ("sys_platform", "os_name", "platform_system", "platform_machine")
    assert tuple(values[key] for key in keys) == expected
    assert "platform_release" not in values
    assert "python_full_version" not in values


@pytest.mark.parametrize(
    "name",
    ["", "any", "beos", "win_ppc", "manylinux_2_4_x86_64", "macosx_11_0_universal2", "manylinux_2_99999999_x86_64"],
)
def test_what_is_no_platform(name: str) -> None:
    assert parse_platform(name) is None


# --- implementations and Python versions ----------------------------------------------------------------------------
def accepts(environment: Environment, tag: str) -> bool:
    return wheel_rank(environment, parse_tag(tag)) is not None


def test_a_wheel_of_a_compressed_set_counts_by_its_best_tag() -> None:
    """PEP 425: "A compressed tag set stands for every combination"."""
    environment = only(python=("3.12",), platforms=(LINUX,))
    best = wheel_rank(environment, parse_tag("cp312-cp312-manylinux_2_28_x86_64"))
    both = wheel_rank(environment, parse_tag("cp311.cp312-cp311.cp312-manylinux_2_28_x86_64.musllinux_1_2_x86_64"))
    pure = wheel_rank(environment, parse_tag("py2.py3-none-any"))
    assert best == both == 1  # as in packaging: linux_x86_64 is 0, then glibc 2.28
    assert pure is not None
    assert pure > 1
    assert wheel_rank(environment, parse_tag("cp312-cp312-win_amd64")) is None
    assert wheel_rank(environment, frozenset()) is None


def test_stable_abi_and_free_threading() -> None:
    usual = only(python=("3.13",), platforms=(LINUX,))
    threaded = only(python=("3.13t",), platforms=(LINUX,))
    assert accepts(usual, f"cp38-abi3-{LINUX}")
    assert not accepts(threaded, f"cp38-abi3-{LINUX}")
    assert accepts(threaded, f"cp313-cp313t-{LINUX}")
    assert not accepts(usual, f"cp313-cp313t-{LINUX}")
    assert accepts(threaded, "py3-none-any")
    assert threaded.python == (3, 13)


def test_pypy() -> None:
    environment = only(python=("3.10",), platforms=(LINUX,), implementations=("pypy",))
    assert accepts(environment, f"pp310-pypy310_pp73-{LINUX}")
    assert accepts(environment, "py3-none-any")
    assert accepts(environment, "pp3-none-any")
    assert not accepts(environment, f"cp310-cp310-{LINUX}")
    assert environment.variables["platform_python_implementation"] == "PyPy"
    assert "implementation_version" not in environment.variables


def test_old_pythons_have_their_own_abi_names() -> None:
    assert accepts(only(python=("3.7",), platforms=(LINUX,)), f"cp37-cp37m-{LINUX}")
    assert accepts(only(python=("2.7",), platforms=("manylinux1_x86_64",)), "cp27-cp27mu-manylinux1_x86_64")
    assert accepts(only(python=("2.7",), platforms=(LINUX,), implementations=("pypy",)), f"pp27-pypy_73-{LINUX}")


def test_a_full_version_closes_the_patch_release() -> None:
    environment = only(python=("3.12.4",), platforms=("linux",))
    assert environment.python == (3, 12)
    assert environment.variables["python_full_version"] == "3.12.4"
    assert environment.variables["implementation_version"] == "3.12.4"
    assert not python_allows(environment, ">=3.12.5")
    assert python_allows(environment, ">=3.12.4")


@pytest.mark.parametrize(
    ("requires_python", "allowed"),
    [
        (None, True),
        ("", True),
        (">=3.8", True),
        (">=3.12", True),
        (">=3.12.4", True),
        (">=3.13", False),
        ("<3.12", False),
        ("<3.12.1", True),
        (">3.12", True),
        ("!=3.12.*", False),
        ("==3.12.7", True),
        (">=3.6,<4", True),
        (">=2.7, !=3.0.*, !=3.1.*", True),
        ("~=3.11", True),
        ("~=3.11.0", False),
        (">=3.6.*", True),
        ("three", True),
    ],
)
def test_requires_python_holds_if_any_patch_release_satisfies_it(requires_python: str | None, allowed: bool) -> None:
    """A file is kept for every Python of the target; what cannot be read is no constraint."""
    assert python_allows(only(python=("3.12",)), requires_python) is allowed
    assert python_allows(environments({})[0], requires_python)


# --- what is left open ----------------------------------------------------------------------------------------------
def test_no_target_is_every_environment() -> None:
    (everything,) = environments({})
    assert everything.name == "any"
    assert everything.python is None
    assert everything.tags is None
    assert everything.variables == {}
    assert wheel_rank(everything, parse_tag("cp27-cp27mu-macosx_10_6_intel")) == 0
    assert wheel_rank(everything, frozenset({Tag("unheard", "of", "this")})) == 0


def test_platform_without_python_accepts_every_cpython_there() -> None:
    environment = only(platforms=(LINUX,))
    assert accepts(environment, "cp27-cp27mu-manylinux1_x86_64")
    assert accepts(environment, f"cp313-cp313t-{LINUX}")
    assert accepts(environment, "py3-none-any")
    assert not accepts(environment, "cp313-cp313-win_amd64")
    assert not accepts(environment, f"pp310-pypy310_pp73-{LINUX}")
    assert python_allows(environment, "<3")


def test_python_without_platform_accepts_it_everywhere() -> None:
    environment = only(python=("3.12",))
    assert accepts(environment, "cp312-cp312-win_amd64")
    assert accepts(environment, "cp312-cp312-macosx_11_0_arm64")
    assert accepts(environment, "cp39-abi3-musllinux_1_2_x86_64")
    assert not accepts(environment, "cp311-cp311-win_amd64")


def test_markers_by_hand_multiply_and_speak_against_wheels() -> None:
    """A wheel is usable unless something known speaks against it."""
    values: dict[str, tuple[str, ...]] = {"sys_platform": ("linux", "win32"), "python_version": ("3.8",), "os_name": ()}
    linux, windows = environments({"old": TargetSpec(markers=values)})
    assert linux.name == "old python_version=3.8 sys_platform=linux"
    assert linux.python == (3, 8)
    assert linux.impossible == {"os_name"}
    assert "implementation_name" not in linux.variables
    assert accepts(linux, "cp38-cp38-manylinux1_x86_64")
    assert accepts(linux, "pp38-pypy38_pp73-manylinux1_x86_64")
    assert not accepts(linux, "cp38-cp38-win_amd64")
    assert accepts(windows, "cp38-cp38-win_amd64")
    assert not accepts(windows, "cp39-cp39-win_amd64")
    assert not python_allows(linux, ">=3.9")


def test_a_machine_by_hand() -> None:
    environment = only(markers={"platform_machine": ("arm64",), "sys_platform": ("darwin",)})
    assert accepts(environment, "cp312-cp312-macosx_11_0_arm64")
    assert accepts(environment, "cp312-cp312-macosx_10_9_universal2")
    assert not accepts(environment, "cp312-cp312-macosx_10_9_x86_64")


def test_names_are_unique_and_say_what_they_are() -> None:
    spec = TargetSpec(python=("3.11", "3.12"), platforms=("linux", "win_amd64"), implementations=("cpython", "pypy"))
    found = environments({"servers": spec, "laptops": spec})
    assert len({environment.name for environment in found}) == len(found) == 16
    assert found[0].name == "servers cpython 3.11 linux"
    assert len({found[0]: 1, found[1]: 2}) == 2


# --- faults ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("spec", "where", "text", "hint"),
    [
        (TargetSpec(platforms=("manylinux_2_28_x68_64",)), "targets.t.platforms", "x68_64", "manylinux_2_28_x86_64"),
        (TargetSpec(platforms=("macosx_14_0_universal2",)), "targets.t.platforms", "universal2", "macosx_14_0_arm64"),
        (TargetSpec(platforms=("mac",)), "targets.t.platforms", "mac", "Did you mean macos"),
        (TargetSpec(python=("312",)), "targets.t.python", "312", "3.12"),
        (TargetSpec(python=(">=3.12",)), "targets.t.python", ">=3.12", "3.12"),
        (TargetSpec(python=("3.12t",)), "targets.t.python", "3.12t", "3.13t"),
        (TargetSpec(python=("3.13t",), implementations=("pypy",)), "targets.t.python", "3.13t", "of its own"),
        (TargetSpec(implementations=("pypi",)), "targets.t.implementations", "pypi", "Did you mean pypy"),
        (
            TargetSpec(markers={"sys_plattform": ("x",)}),
            "targets.t.markers",
            "sys_plattform",
            "Did you mean sys_platform",
        ),
        (TargetSpec(markers={"extra": ("x",)}), "targets.t.markers", "extra", "Use one of"),
        (
            TargetSpec(python=("3.12",), markers={"python_version": ("3.11",)}),
            "targets.t.markers",
            "python",
            "one of the two",
        ),
    ],
)
def test_what_does_not_exist_is_named_with_a_remedy(spec: TargetSpec, where: str, text: str, hint: str) -> None:
    with pytest.raises(InvalidRequirement) as caught:
        environments({"t": spec})
    assert caught.value.where == where
    assert text in caught.value.message
    assert hint in caught.value.hint

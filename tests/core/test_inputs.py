"""Files that say what is to be mirrored: their spelling, and what a pyproject.toml asks for."""

from __future__ import annotations

import pytest

from pypim.core.errors import InvalidConfig, InvalidRequirement
from pypim.core.inputs import InputFile, parse_input, read_input
from pypim.core.requirements import RequirementsFile

PYPROJECT = """\
[project]
name = "My.Project"
dependencies = [
    "flask>=3",
    "win; sys_platform == 'win32'",
    "local @ file:///srv/local",
    "member",
]
[project.optional-dependencies]
Socks_5 = ["pysocks"]
docs = ["sphinx", "my-project[socks.5]"]
all = ["My_Project[docs]"]

[dependency-groups]
test = ["pytest>=8", { include-group = "Cover_Age" }]
cover-age = ["coverage[toml]"]
dev = [{ include-group = "test" }, { include-group = "cover-age" }, "ruff"]
whole = ["my-project[docs]"]
circle = [{ include-group = "b" }]
b = [{ include-group = "c" }]
c = [{ include-group = "B" }]
lost = ["x", { include-group = "nowhere" }]
strange = [
    "x",
    { include = "test" },
]
number = ["x", 3]

[tool.uv.sources]
member = { workspace = true }
Flask = { index = "private" }
pysocks = [{ index = "a", marker = "x" }, { git = "https://git.example/x" }]
"""


def read(spelling: str, text: str = PYPROJECT) -> RequirementsFile:
    return read_input(parse_input(spelling, "-r"), lambda path: {"pyproject.toml": text}[path])


def asked(spelling: str, text: str = PYPROJECT) -> list[str]:
    """The requirements, each with its line."""
    return [f"{line.text} {line.where.rpartition(':')[2]}" for line in read(spelling, text).requirements]


OWN = ["flask>=3 4", "win; sys_platform == 'win32' 5"]
DOCS = ["sphinx 11", "pysocks 10"]


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("pyproject.toml", OWN),
        ("pyproject.toml[socks-5]", [*OWN, "pysocks 10"]),
        ("pyproject.toml[SOCKS.5,docs]", [*OWN, *DOCS]),
        ("pyproject.toml[all]", [*OWN, *DOCS]),
        ("pyproject.toml[*]", [*OWN, *DOCS]),
        ("pyproject.toml:cover_age", ["coverage[toml] 16"]),
        ("pyproject.toml:Test", ["pytest>=8 15", "coverage[toml] 16"]),
        ("pyproject.toml:dev", ["pytest>=8 15", "coverage[toml] 16", "ruff 17"]),
        ("pyproject.toml:whole", [*OWN, *DOCS]),
    ],
)
def test_what_a_pyproject_asks_for(spelling: str, expected: list[str]) -> None:
    """PEP 621, PEP 685, PEP 735: a group is taken alone; extras come with the dependencies; names are normalised."""
    assert sorted(asked(spelling)) == sorted(expected)


def test_what_comes_from_no_index_is_passed_over() -> None:
    assert read("pyproject.toml").notes == (
        "pyproject.toml: passed over, for it comes from no index: local (url), member (workspace)",
    )
    assert read("pyproject.toml:dev").notes == ()


@pytest.mark.parametrize(
    ("spelling", "text", "expected"),
    [
        (
            "pyproject.toml:circle",
            PYPROJECT,
            ":21: dependency-groups.c[1]: dependency groups include each other in a circ",
        ),
        ("pyproject.toml:circle", PYPROJECT, "circle: b > c > b. Take one out."),
        (
            "pyproject.toml:lost",
            PYPROJECT,
            ":22: dependency-groups.lost[2]: there is no dependency group 'nowhere'. Groups",
        ),
        (
            "pyproject.toml:doc",
            PYPROJECT,
            "there is no dependency group 'doc'. Groups of this file: b, c, circle, cover-a",
        ),
        ("pyproject.toml:strange", PYPROJECT, ":25: dependency-groups.strange[2]: this is neither a requirement nor {"),
        ("pyproject.toml:number", PYPROJECT, ":27: dependency-groups.number[2]: expected a string, found an integer"),
        (
            "pyproject.toml[doc]",
            PYPROJECT,
            "project.optional-dependencies: there is no extra 'doc'. Extras of this proje",
        ),
        (
            "pyproject.toml:a",
            "[dependency-groups]\na-b = []\nA_B = []\n",
            ":3: dependency-groups.A_B: 'A_B' and 'a-b' are the",
        ),
        (
            "pyproject.toml:a",
            "[dependency-groups]\na = 'x'\n",
            ":2: dependency-groups.a: expected a list, found a string",
        ),
        (
            "pyproject.toml",
            "[dependency-groups]\na = []\n",
            "there is no [project] table. Name a group of it: pyproject",
        ),
        (
            "pyproject.toml",
            "[tool.poetry.dependencies]\na = '*'\n",
            "there is no [project] table. Name poetry.lock inst",
        ),
        (
            "pyproject.toml",
            "[project]\ndynamic = ['dependencies']\n",
            ":2: project.dynamic: the dependencies are dynamic:",
        ),
        (
            "pyproject.toml",
            "[project]\ndynamic = ['dependencies']\n",
            "Name a lock file or a requirements.txt of the pro",
        ),
        (
            "pyproject.toml[a]",
            "[project]\ndynamic = ['optional-dependencies']\n",
            "the optional-dependencies are dynamic",
        ),
        (
            "pyproject.toml",
            "[project]\ndependencies = 'x'\n",
            ":2: project.dependencies: expected a list, found a string",
        ),
        (
            "pyproject.toml",
            "[project]\ndependencies = [\n'x',\n'y>>1']\n",
            "pyproject.toml:4: 'y>>1': this is not a req",
        ),
        ("pyproject.toml", "project = 3\n", ":1: project: expected a table, found an integer"),
        ("pyproject.toml", "[project\n", "pyproject.toml:1: not TOML: "),
    ],
)
def test_what_is_wrong_with_a_pyproject_is_told_with_its_line(spelling: str, text: str, expected: str) -> None:
    """PEP 735: "Dependency Group Includes MUST NOT include cycles"; dynamic dependencies cannot be known."""
    with pytest.raises(InvalidConfig) as caught:
        read(spelling, text)
    assert expected in caught.value.message
    assert all(fault.remedy for fault in caught.value.faults)


def test_dynamic_extras_are_no_obstacle_where_none_is_asked_for() -> None:
    assert asked(
        "pyproject.toml", "[project]\ndynamic = ['optional-dependencies', 'version']\ndependencies = ['x']\n"
    ) == ["x 3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("requirements.txt", InputFile(path="requirements.txt")),
        ("a/requirements[dev].txt", InputFile(path="a/requirements[dev].txt")),
        ("C:\\x\\uv.lock", InputFile(path="C:\\x\\uv.lock")),
        (
            "C:\\x\\pyproject.toml:dev",
            InputFile(path="C:\\x\\pyproject.toml", group=parse_input("pyproject.toml:dev", "").group),
        ),
        ("../pyproject.toml[b, A_a]", InputFile(path="../pyproject.toml", extras=frozenset(("b", "a-a")))),  # type: ignore[arg-type]
        ("pyproject.toml[*]", InputFile(path="pyproject.toml", extras=None)),
    ],
)
def test_the_spelling_of_a_file(text: str, expected: InputFile) -> None:
    found = parse_input(text, "-r")
    assert found == expected
    assert parse_input(str(found), "-r") == found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uv.lock[dev]", "only pyproject.toml has extras and groups"),
        ("x/poetry.lock:dev", "only pyproject.toml has extras and groups"),
        ("pyproject.toml[]", "'' is not a project name"),
        ("pyproject.toml[a b]", "'a b' is not a project name"),
        ("pyproject.toml:", "'' is not a project name"),
        ("pyproject.toml[a]:b", "a group is taken without the project's extras"),
    ],
)
def test_a_spelling_that_means_nothing_is_refused(text: str, expected: str) -> None:
    with pytest.raises(InvalidRequirement) as caught:
        parse_input(text, "-r")
    assert expected in caught.value.message
    assert caught.value.hint


def test_a_lock_that_names_nothing_says_so() -> None:
    found = read_input(InputFile(path="uv.lock"), lambda _path: "version = 1\n")
    assert found == RequirementsFile(notes=("uv.lock: it names no release of an index",))


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_a_file_that_cannot_be_read_is_named(name: str) -> None:
    def read_nothing(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory")

    with pytest.raises(InvalidConfig, match=f"{name}: the file cannot be read: No such file or directory"):
        read_input(InputFile(path=name), read_nothing)


@pytest.mark.parametrize("line", ["-r uv.lock", "-c ../pyproject.toml", "-r a/pylock.x.toml"])
def test_a_lock_is_not_included_in_a_requirements_file(line: str) -> None:
    with pytest.raises(InvalidConfig, match="cannot be included in a requirements file"):
        read_input(InputFile(path="r.txt"), lambda path: f"flask\n{line}\n" if path == "r.txt" else "")

"""Markers with three answers."""

from __future__ import annotations

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import NormalizedName

from pypim.core.marker_tree import Comparison, Logical, Unreadable, compile_marker
from pypim.core.markers import evaluate
from pypim.core.target import Environment, TargetSpec, environments


def only(spec: TargetSpec) -> Environment:
    (found,) = environments({"t": spec})
    return found


LINUX = only(TargetSpec(python=("3.12",), platforms=("linux",)))
PYPY = only(TargetSpec(python=("3.10",), platforms=("linux",), implementations=("pypy",)))
EXACT = only(TargetSpec(python=("3.12.4",), platforms=("linux",)))
ANY = environments({})[0]
BY_HAND = only(
    TargetSpec(markers={"sys_platform": (), "platform_release": ("5.15.0-91-generic",), "python_version": ("3.8",)})
)


def extras(*names: str) -> frozenset[NormalizedName]:
    return frozenset(NormalizedName(name) for name in names)


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        # known variables
        ("sys_platform == 'linux'", True),
        ("sys_platform == 'win32'", False),
        ("'linux' in sys_platform", True),
        ("sys_platform in 'linux darwin'", True),
        ("sys_platform not in 'linux darwin'", False),
        ("platform_machine == 'x86_64'", True),
        ("os.name == 'posix'", True),
        ("python_implementation == 'CPython'", True),
        ("python_version < '3.9'", False),
        ("python_version >= '3.9'", True),
        ("'3.9' <= python_version", True),
        ("python_version in '2.7 3.6'", False),
        ("python_version == '3.12.*'", True),
        ("python_version ~= '3.10'", True),
        # every 3.12.x at once
        ("python_full_version >= '3.12.4'", None),
        ("python_full_version < '3.12'", False),
        ("python_full_version >= '3.8'", True),
        ("python_full_version >= '3.12'", True),
        ("python_full_version < '3.13'", True),
        ("python_full_version == '3.12.*'", True),
        ("python_full_version != '3.12.*'", False),
        ("python_full_version != '3.12.0'", None),
        ("python_full_version ~= '3.12.0'", True),
        ("python_full_version >= '3.12.0rc1'", True),
        ("'3.12.4' > python_full_version", None),
        ("'3.8' <= python_full_version", True),
        ("'3.8' >= python_full_version", False),
        ("python_full_version in '3.12.1 3.12.2'", None),
        ("python_full_version >= 'three'", None),
        ("implementation_version >= '3.8'", True),
        # open variables
        ("platform_release >= '5'", None),
        ("platform_version == 'x'", None),
        ("platform_release >= '5' and sys_platform == 'win32'", False),
        ("platform_release >= '5' or sys_platform == 'linux'", True),
        ("platform_release >= '5' and sys_platform == 'linux'", None),
        ("platform_release >= '5' or sys_platform == 'win32'", None),
        # precedence and nesting
        ("sys_platform == 'linux' or sys_platform == 'x' and python_version < '3'", True),
        ("(sys_platform == 'linux' or sys_platform == 'x') and python_version < '3'", False),
        ("((sys_platform == 'linux'))", True),
        # what has no meaning is open, never an error
        ("sys_platform ~= 'linux'", None),
        ("sys_platform === 'linux'", None),
        ("'x' in extras", None),
        ("os_name == sys_platform", None),
    ],
)
def test_on_a_linux_machine_with_any_3_12(marker: str, expected: bool | None) -> None:
    assert evaluate(Marker(marker), LINUX) is expected


def test_no_marker_holds_everywhere() -> None:
    assert evaluate(None, ANY) is True


def test_in_every_environment_everything_is_open_but_the_extras() -> None:
    assert evaluate(Marker("sys_platform == 'win32'"), ANY) is None
    assert evaluate(Marker("python_full_version >= '3'"), ANY) is None
    assert evaluate(Marker("sys_platform == 'win32' and extra == 'x'"), ANY) is False
    assert evaluate(Marker("sys_platform == 'win32' and extra == 'x'"), ANY, extras("x")) is None
    assert evaluate(Marker("sys_platform == 'win32' or extra == 'x'"), ANY, extras("x")) is True


def test_the_version_of_another_implementation_is_not_pythons() -> None:
    assert evaluate(Marker("implementation_version >= '3.8'"), PYPY) is None
    assert evaluate(Marker("python_full_version >= '3.8'"), PYPY) is True
    assert evaluate(Marker("platform_python_implementation == 'PyPy'"), PYPY) is True


def test_a_full_version_is_certain() -> None:
    assert evaluate(Marker("python_full_version >= '3.12.4'"), EXACT) is True
    assert evaluate(Marker("python_full_version > '3.12.4'"), EXACT) is False


def test_a_variable_without_value_makes_every_comparison_false() -> None:
    assert evaluate(Marker("sys_platform == 'linux'"), BY_HAND) is False
    assert evaluate(Marker("sys_platform != 'linux'"), BY_HAND) is False
    assert evaluate(Marker("sys_platform != 'linux' or python_version == '3.8'"), BY_HAND) is True


def test_platform_release_is_compared_as_text_where_it_is_no_version() -> None:
    """ "Version | String": fall back to string comparison."""
    assert evaluate(Marker("platform_release == '5.15.0-91-generic'"), BY_HAND) is True
    assert evaluate(Marker("'generic' in platform_release"), BY_HAND) is True
    assert evaluate(Marker("os_name == 'nt'"), BY_HAND) is None


def test_extras_are_a_set_and_compare_normalised() -> None:
    """PEP 685: "tools MUST normalize the names being compared"."""
    marker = Marker("extra == 'Foo_Bar'")
    assert evaluate(marker, LINUX, extras("foo-bar")) is True
    assert evaluate(marker, LINUX, extras("other", "foo-bar")) is True
    assert evaluate(marker, LINUX) is False
    assert evaluate(Marker("extra != 'foo'"), LINUX, extras("foo")) is False
    assert evaluate(Marker("extra != 'foo'"), LINUX, extras("bar")) is True
    assert evaluate(Marker("'foo' == extra"), LINUX, extras("foo")) is True
    assert evaluate(Marker("extra in 'foo bar'"), LINUX, extras("foo")) is None


def test_quotes_inside_literals() -> None:
    assert evaluate(Marker('platform_version == "it\'s"'), LINUX) is None
    assert evaluate(Marker("sys_platform == 'a\"b'"), LINUX) is False
    assert compile_marker("os_name == 'a\"b' and extra == \"it's\"").extras == extras("it's")


def test_nesting_has_no_bottom() -> None:
    """A marker of any depth that packaging reads gets an answer."""
    marker = Marker("(" * 60 + "os_name == 'nt'" + ")" * 60)
    assert evaluate(marker, LINUX) is False
    deep = "os_name == 'nt'"
    for _ in range(60):
        deep = f"(os_name == 'posix' and (os_name == 'x' or {deep}))"
    assert evaluate(Marker(deep), LINUX) is False


def test_packaging_writes_markers_in_the_language_that_is_read_here() -> None:
    """`str(Marker)` is all that is used of packaging's parser; this fails loudly should its form change."""
    requirement = Requirement(
        "a; os.name=='nt' and ('2.7'<=python_version or extra=='X_y') or sys_platform not   in 'a b'"
    )
    assert str(requirement.marker) == (
        'os_name == "nt" and ("2.7" <= python_version or extra == "x-y") or sys_platform not in "a b"'
    )
    inner = Logical(
        "or", (Comparison("python_version", "<=", "2.7", is_reversed=True), Comparison("extra", "==", "x-y"))
    )
    expected = Logical(
        "or",
        (Logical("and", (Comparison("os_name", "==", "nt"), inner)), Comparison("sys_platform", "not in", "a b")),
    )
    assert compile_marker(str(requirement.marker)).condition == expected


@pytest.mark.parametrize(
    "text", ["", "os_name", "os_name ==", "os_name == 'a' or", "(os_name == 'a'", "os_name == 'a')", "§"]
)
def test_what_is_no_marker_is_open(text: str) -> None:
    assert compile_marker(text).condition == Unreadable()

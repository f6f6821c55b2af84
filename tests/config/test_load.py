"""A configuration is validated whole: every fault at once, each with its line, and what exists instead."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from pypim.config.load import find_config, load, load_text
from pypim.config.model import Config, Layout
from pypim.core.errors import InvalidConfig, InvalidUsage
from pypim.core.policy import Filters

_WHOLE = """
[store]
path = "data"
files = "files"

[upstreams.main]
url = "https://index.example/simple"
[upstreams.wheels]
url = "./wheels"
layout = "flat"

[targets.servers]
python = ["3.11", "3.12"]
platforms = ["manylinux_2_28_x86_64"]
[targets.old.markers]
sys_platform = ["linux"]

[indexes.main]
kind = "mirror"
upstream = "main"
targets = ["servers", "old"]
requirements = ["requirements.txt", "../common.txt"]
publish = "public"
on-removal = "prune-after 7 days"
jobs = 4

[indexes.main.packages]
Django = ["latest", "latest<5"]
"apache-airflow[Postgres_Extra]" = "2 latest"
six = "1.16.0"
"colorama; sys_platform == 'win32'" = "latest"
[indexes.main.patterns]
"zope-.*" = "latest"
[indexes.main.dependencies]
versions = "all"
extras = ["socks"]
max-depth = 2
[indexes.main.filters]
exclude = ["torch>=3"]
keep-latest = 5
"""


def test_everything_is_resolved_and_absolute(tmp_path: Path) -> None:
    config = load_text(_WHOLE, tmp_path / "pypim.toml")
    index = config.chosen("main")[0]
    assert (config.store.path, config.store.files) == (tmp_path / "data", tmp_path / "files")
    assert index.upstream.url == "https://index.example/simple/"
    assert (config.upstreams["wheels"].url, config.upstreams["wheels"].layout) == (
        (tmp_path / "wheels").as_uri(),
        Layout.FLAT,
    )
    assert list(index.targets) == ["servers", "old"]
    files = [str(file) for file in index.requirement_files]
    assert files == [str(tmp_path / "requirements.txt"), str(tmp_path.parent / "common.txt")]
    assert index.publish == tmp_path / "public"
    assert (index.on_removal.keeps_listed, index.on_removal.delete_after) == (False, timedelta(days=7))
    assert [(root.project, root.text, root.origin) for root in index.roots] == [
        ("django", "latest", "packages.Django"),
        ("django", "latest<5", "packages.Django"),
        ("apache-airflow", "2 latest", "packages.apache-airflow[Postgres_Extra]"),
        ("six", "1.16.0", "packages.six"),
        ("colorama", "latest", "packages.colorama; sys_platform == 'win32'"),
    ]
    assert index.roots[2].extras == {"postgres-extra"}
    assert str(index.roots[4].marker) == 'sys_platform == "win32"'
    assert [pattern.expression.pattern for pattern in index.patterns] == ["zope-.*"]
    assert (index.follow.is_every_match, index.follow.max_depth) == (True, 2)
    assert sorted(index.follow.root_extras or ()) == ["socks"]
    assert index.filters == Filters(exclude=("torch>=3",), keep_latest=5)
    assert index.jobs == 4


def test_what_is_left_out_has_the_documented_default(tmp_path: Path) -> None:
    config = load_text("[indexes.main]\n", tmp_path / "pypim.toml")
    index = config.chosen("main")[0]
    assert config.store.path == config.store.files == tmp_path / "data"
    assert index.upstream.name == "pypi"
    assert index.upstream.url.endswith("/simple/")
    assert index.on_removal.delete_after == timedelta(days=30)
    assert (index.follow.is_followed, index.follow.is_every_match, index.follow.root_extras) == (
        True,
        False,
        frozenset(),
    )
    assert (index.targets, index.publish, index.jobs) == ({}, None, 16)


_FAULTY = """\
[store]
pth = "data"
[upstreams.a]
url = "a"
retries = -1
[upstreams.b]
url = "gopher://index.example/"
layout = "flatt"
[upstreams.c]
[targets.servers]
python = ["3.11", "3,12"]
platforms = [
  "win_amd64",
  "lunix",
]
markers.sys_platfrom = ["linux"]
[targets.typed]
python = [3.10]
[indexes.main]
kind = "miror"
upstream = "aa"
upstrem = "a"
targets = ["serves"]
requirements = ["uv.lock[dev]"]
on_removal = "keep"
on-removal = "later"
publish = "public"
[indexes.main.packages]
django = ["latest",
  "latest<<5"]
requests = 2.31
"a>=2" = "latest"
"-" = "latest"
[indexes.main.patterns]
"zope-(" = "latest"
[indexes.main.dependencies]
versions = "resolved"
extras = "al"
build = "yes"
[indexes.main.filters]
exclude = ["torch>=>3"]
formats = ["wheel", "wheels"]
max-file-size = "1 XB"
[indexes."no way"]
publish = "public"
upstream = "a"
"""

_EXPECTED = [
    (2, "unknown key 'pth', did you mean 'path'?"),
    (4, 'neither "pypi", a URL nor a path'),
    (5, "expected an integer >= 0"),
    (7, "no scheme of an index"),
    (8, "'flatt' is none of 'auto', 'simple', 'flat'"),
    (9, "an upstream needs a url"),
    (11, "'3,12': this is not a Python version"),
    (14, "'lunix': this is not a platform"),
    (16, "this is not a marker variable. Did you mean sys_platform"),
    (18, 'expected a string, found a number: write it as "3.10"'),
    (20, "unknown kind 'miror', did you mean 'mirror'?"),
    (21, "unknown upstream 'aa', did you mean 'a'?"),
    (22, "unknown key 'upstrem', did you mean 'upstream'?"),
    (23, "unknown target 'serves', did you mean 'servers'?"),
    (24, "'uv.lock[dev]': only pyproject.toml has extras and groups"),
    (25, "unknown key 'on_removal', did you mean 'on-removal'?"),
    (26, "'later'"),
    (30, "'latest<<5': this is neither a rule"),
    (31, "expected a string or a list, found a number"),
    (32, 'as in "a" = ">=2"'),
    (33, "not the name of a project"),
    (35, "not a regular expression"),
    (37, "'resolved' is none of 'newest', 'all', 'resolve'"),
    (38, "'al' is none of 'requested', 'all'"),
    (39, "expected true or false"),
    (41, "'>=>3' is not a specifier"),
    (42, "'wheels': there is no such format"),
    (43, "'1 XB'"),
    (44, "letters, digits"),
    (45, "already the folder of indexes.main"),
]


def test_every_fault_is_named_at_once_with_its_line_and_the_nearest_thing_that_exists() -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_text(_FAULTY, Path("pypim.toml"))
    found = caught.value.faults
    assert [fault.line for fault in found] == [line for line, _ in _EXPECTED]
    for fault, (line, part) in zip(found, _EXPECTED, strict=True):
        assert part in fault.sentence, f"line {line}: {fault.sentence}"
    assert str(caught.value).startswith("pypim.toml:2: store.pth: unknown key")


@pytest.mark.parametrize(
    ("text", "line"),
    [("[store\n", 1), ("[store]\npath = \n", 2), ("a = 1\n\nb = [1,\n", 4), ("a = 1\na = 2\n", 2)],
)
def test_a_syntax_error_has_its_line(text: str, line: int) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_text(text, Path("pypim.toml"))
    (fault,) = caught.value.faults
    assert fault.line == line
    assert fault.message.startswith("not TOML: ")


def test_a_target_that_contradicts_itself_is_one_fault() -> None:
    text = '[targets.a]\npython = ["3.12"]\nmarkers.python_version = ["3.11"]\n'
    with pytest.raises(InvalidConfig, match=r"python_version.*which versions are meant"):
        load_text(text, Path("pypim.toml"))


def test_several_upstreams_need_a_choice() -> None:
    text = '[upstreams.a]\nurl = "./a"\n[upstreams.b]\nurl = "./b"\n[indexes.main]\n'
    with pytest.raises(InvalidConfig, match=re.escape("pypim.toml:5: indexes.main: upstream is missing")):
        load_text(text, Path("pypim.toml"))


def test_a_file_that_is_not_text_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pypim.toml"
    path.write_bytes(b"a = '\xff'")
    with pytest.raises(InvalidConfig, match="not UTF-8"):
        load(path)
    with pytest.raises(InvalidConfig, match="No such file"):
        load(tmp_path / "none.toml")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "pypim.toml"
    path.write_bytes(b"\xef\xbb\xbf[indexes.main]\r\njobs = 3\r\nx = 1\r\n")
    with pytest.raises(InvalidConfig) as caught:
        load(path)
    assert [fault.line for fault in caught.value.faults] == [3]


class TestFinding:
    def test_the_order_is_option_variable_folder_user(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        user = tmp_path / "home" / "pypim"
        user.mkdir(parents=True)
        variables = {"XDG_CONFIG_HOME": str(tmp_path / "home")}
        with pytest.raises(InvalidUsage, match="no configuration"):
            find_config(None, variables)
        (user / "pypim.toml").touch()
        assert find_config(None, variables) == user / "pypim.toml"
        (tmp_path / "pypim.toml").touch()
        assert find_config(None, variables) == Path("pypim.toml")
        (tmp_path / "other.toml").touch()
        assert find_config(None, {**variables, "PYPIM_CONFIG": "other.toml"}) == Path("other.toml")
        assert find_config("pypim.toml", {**variables, "PYPIM_CONFIG": "other.toml"}) == Path("pypim.toml")

    def test_a_file_that_was_named_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidConfig, match="no such file"):
            find_config(str(tmp_path / "none.toml"), {})
        with pytest.raises(InvalidConfig, match="no such file"):
            find_config(None, {"PYPIM_CONFIG": str(tmp_path / "none.toml")})


class TestChosen:
    def _config(self, text: str) -> Config:
        return load_text(text, Path("pypim.toml"))

    def test_one_or_all(self) -> None:
        config = self._config("[indexes.a]\n[indexes.b]\n")
        assert [index.name for index in config.chosen(None)] == ["a", "b"]
        assert [index.name for index in config.chosen("b")] == ["b"]

    def test_mirrors_only(self) -> None:
        config = self._config('[indexes.a]\n[indexes.b]\nkind = "hosted"\n')
        assert [index.name for index in config.chosen(None)] == ["a"]

    @pytest.mark.parametrize(
        ("table", "purpose"),
        [
            ('kind = "proxy"', "fetches what clients ask for"),
            ('kind = "hosted"', "holds what is uploaded to it"),
            ('kind = "group"\nmembers = ["a"]', "holds nothing of its own"),
        ],
    )
    def test_an_index_of_another_kind_is_served(self, table: str, purpose: str) -> None:
        """A sync has nothing to do there; the message says what has."""
        with pytest.raises(InvalidUsage, match=purpose) as caught:
            self._config(f"[indexes.a]\n[indexes.b]\n{table}\n").chosen("b")
        assert caught.value.hint == "`pypim serve` serves b. Mirrors that are configured: a."

    def test_without_any_mirror_only_what_is_about_mirrors_fails(self) -> None:
        config = self._config('[indexes.b]\nkind = "hosted"\n')
        with pytest.raises(InvalidUsage, match="no mirror is configured") as caught:
            config.chosen(None)
        assert caught.value.hint == "`pypim serve` serves what is: b."
        assert config.chosen(None, is_needed=False) == ()

    def test_an_unknown_name_and_no_index_at_all_are_the_users_faults(self) -> None:
        with pytest.raises(InvalidUsage, match="no index of that name"):
            self._config("[indexes.a]\n").chosen("b")
        with pytest.raises(InvalidUsage, match="no index is configured"):
            self._config("").chosen(None)

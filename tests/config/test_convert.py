"""`init --from`: other tools' configurations become one of ours; what cannot be carried over is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from distlib.index import DEFAULT_INDEX
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.config import json5
from pypim.config.convert import Converted, convert
from pypim.config.load import load_text
from pypim.config.locate import absolute
from pypim.config.model import MirrorIndex
from pypim.core.errors import InvalidConfig
from pypim.core.policy import Filters
from pypim.core.target import TargetSpec

_PRESET_HOST = DEFAULT_INDEX.removesuffix("/pypi")


def _convert(text: str, name: str) -> Converted:
    """For a new file beside the old one."""
    return convert(text, Path("/srv") / name, Path("/srv"))


def _index(converted: Converted) -> MirrorIndex:
    return load_text(converted.text, Path("/srv/pypim.toml")).chosen("main")[0]


def _rules(index: MirrorIndex) -> list[tuple[str, str]]:
    return [(root.origin.removeprefix("packages."), root.text) for root in index.roots]


def test_pypisync() -> None:
    text = """
    // pypisync
    {
      endpoint: 'https://index.example',
      "destination_folder": "out",   /* here */
      arch_exclude: ["win", 'macosx',],
      environment: { sys_platform: ["linux"], python_version: null, platform_machine: [], },
      packages: { django: ["latest", "latest<5"], "six": ["1.16.0"] },
      packages_re: { 'zope-.*': ['2 latest'] },
      surprise: 1,
    }
    """
    converted = _convert(text, "conf.json5")
    index = _index(converted)
    assert converted.tool == "pypisync"
    assert converted.lost == ("surprise: pypim has no such setting",)
    assert index.upstream.url == "https://index.example/simple/"
    assert index.publish == Path("/srv/out")
    assert index.filters.exclude_tags == ("*win*", "*macosx*")
    assert index.targets == {"pypisync": TargetSpec(markers={"sys_platform": ("linux",), "platform_machine": ()})}
    assert _rules(index) == [("django", "latest"), ("django", "latest<5"), ("six", "1.16.0")]
    assert [pattern.expression.pattern for pattern in index.patterns] == ["zope-.*"]


def test_microrepo() -> None:
    data = {
        "repository": "/srv/repo",
        "processes": 4,
        "package_types": ["bdist_wheel", "sdist", "odd"],
        "extensions": ["whl", "tar.gz"],
        "python_versions": ["cp312", "py2.py3", "3.11", "source", "any"],
        "platforms": ["linux"],
    }
    converted = _convert(json.dumps(data), ".minirepo")
    index = _index(converted)
    assert (index.jobs, index.publish, index.follow.is_followed) == (4, Path("/srv/repo"), False)
    assert index.filters == Filters(
        formats=("wheel", "sdist"),
        extensions=("whl", "tar.gz"),
        python_tags=("cp312", "py2", "py3", "py311", "cp311"),
    )
    assert [(pattern.expression.pattern, pattern.rule.text) for pattern in index.patterns] == [(".*", "latest")]
    assert [line.partition(":")[0] for line in converted.lost] == ["platforms", "repository", "package_types 'odd'"]


def test_morgan() -> None:
    text = """
[env.servers]
python_version = 3.11
python_full_version = 3.11.4
sys_platform = linux
platform_tag = manylinux_2_28_x86_64
implementation_name = cpython
[env.odd]
python_version = 3.12
platform_tag = manylinux.*
[requirements]
requests = >=2.24.0
protobuf =
    <4
    >=4,<5
uvicorn[standard] = *
"""
    converted = _convert(text, "morgan.ini")
    index = _index(converted)
    assert index.targets["servers"] == TargetSpec(
        python=("3.11.4",), platforms=("manylinux_2_28_x86_64",), markers={"sys_platform": ("linux",)}
    )
    assert index.targets["odd"] == TargetSpec(python=("3.12",))
    assert _rules(index) == [
        ("requests", "latest>=2.24.0"),
        ("protobuf", "latest<4"),
        ("protobuf", "latest>=4,<5"),
        ("uvicorn[standard]", "latest"),
    ]
    assert index.follow.is_build_followed
    assert len(converted.lost) == 1
    assert "manylinux.*" in converted.lost[0]


_BANDERSNATCH = f"""
[mirror]
directory = /srv/pypi
master = {_PRESET_HOST}
timeout = 15
workers = 3
hash-index = true
stop-on-error = false
[plugins]
enabled =
    blocklist_project
    exclude_platform
    latest_release
    prerelease_release
    size_project_metadata
    version_range_project_metadata
    regex_project
[blocklist]
packages =
    example1
    example2>=1.4   # comment
platforms =
    windows
    py3.9
[filter_regex]
packages =
    .+-evil$
[latest_release]
keep = 3
[size_project_metadata]
max_package_size = 1G
"""


def test_bandersnatch() -> None:
    converted = _convert(_BANDERSNATCH, "bandersnatch.conf")
    index = _index(converted)
    config = load_text(converted.text, Path("/srv/pypim.toml"))
    assert index.upstream.name == "pypi"
    assert (config.store.files, index.publish, index.jobs) == (Path("/srv/pypi/web"), Path("/srv/pypi/web"), 3)
    assert index.upstream.read_timeout == 15
    assert index.on_removal.keeps_listed
    assert not index.follow.is_followed
    assert index.filters.exclude == ("example1", "example2>=1.4")
    assert index.filters.exclude_tags == ("win*", "cp39", "py39", "pp39")
    assert (index.filters.keep_latest, index.filters.prereleases) == (3, False)
    assert index.filters.max_project_size == 1_000_000_000
    (pattern,) = index.patterns
    assert pattern.expression.fullmatch("flask")
    assert not pattern.expression.fullmatch("very-evil")
    assert [line.partition(":")[0] for line in converted.lost] == [
        "[mirror] hash-index",
        "plugin version_range_project_metadata",
    ]


def test_bandersnatch_with_an_allow_list() -> None:
    text = """
[mirror]
directory = /srv/pypi
[plugins]
enabled = all
[allowlist]
packages =
    Django>=5
    django<4
    six
    not a name!
"""
    converted = _convert(text, "bandersnatch.conf")
    assert _rules(_index(converted)) == [("Django", ">=5"), ("django", "<4"), ("six", "*")]
    assert converted.lost == ("[allowlist] packages: 'not a name!' cannot be read",)


def test_plugins_that_are_not_enabled_filter_nothing() -> None:
    converted = _convert("[mirror]\ndirectory = m\n[blocklist]\npackages = six\n", "bandersnatch.conf")
    index = _index(converted)
    assert index.filters.exclude == ()
    assert index.filters.prereleases
    assert [pattern.expression.pattern for pattern in index.patterns] == [".*"]


def test_pypim_command_line() -> None:
    converted = _convert(
        "# nightly\npython pypim.py -p -n -w -a Django==5.0 -a six -k 2 --web out --odd \\\n --db x.db", "run.sh"
    )
    index = _index(converted)
    assert converted.tool == "PyPIM"
    assert _rules(index) == [("Django", "5.0"), ("six", "2 latest")]
    assert (index.publish, index.patterns, index.on_removal.keeps_listed) == (Path("/srv/out"), (), True)
    assert [line.partition(":")[0] for line in converted.lost][:3] == ["--odd", "-n", "--db"]
    everything = _index(_convert("pypim -p", "run.sh"))
    assert [(p.expression.pattern, p.rule.text) for p in everything.patterns] == [(".*", "3 latest")]


def test_simple_pypi_mirror_command_line() -> None:
    line = "simple-pypi-mirror flask django=4.2 req.txt --index https://index.example/simple/ "
    line += "--local-folder out --binary-only"
    converted = _convert(line, "run.txt")
    index = _index(converted)
    assert _rules(index) == [("flask", "latest"), ("django", "4.2")]
    assert [str(file) for file in index.requirement_files] == ["/srv/req.txt"]
    assert index.upstream.url == "https://index.example/simple/"
    assert (index.filters.formats, index.follow.max_depth) == (("wheel",), 1)


@pytest.mark.parametrize("text", ["", "hello", "{}", "[]", "{ 'packages': [", "pypim -k many", "pypim 'a"])
def test_what_is_not_recognised_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        _convert(text, "some.file")
    assert str(caught.value).startswith("/srv/some.file: ")
    assert "bandersnatch" in caught.value.hint


class TestJson5:
    def test_what_people_write(self) -> None:
        text = r"""
        { // comment
          bare: 'it\'s', "quoted": "a // b, ]", $x_1: [1, +2, -3, .5, 5., 0x1F, 1e3, true, null,],
          'nested': { /* , */ }, line: 'a\
b', unicode: "\u00e9\x41",
        }"""
        assert json5.loads(text) == {
            "bare": "it's",
            "quoted": "a // b, ]",
            "$x_1": [1, 2, -3, 0.5, 5.0, 31, 1000.0, True, None],
            "nested": {},
            "line": "ab",
            "unicode": "éA",
        }

    @settings(max_examples=100)
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
            max_leaves=10,
        )
    )
    def test_all_json_is_json5(self, value: object) -> None:
        assert json5.loads(json.dumps(value)) == value
        assert json5.loads(json.dumps(value, ensure_ascii=False)) == value

    @pytest.mark.parametrize("text", ["{", "{a:1]", "[1,,2]", "@", "{a 1}", "'open"])
    def test_what_is_neither_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="line 1"):
            json5.loads(text)


_BANDERSNATCH_PATHS = """
[mirror]
directory = m
[plugins]
enabled = project_requirements
[allowlist]
requirements = a.txt
requirements_path = r
"""


class TestRelativePaths:
    """They go on to mean the same files, wherever the new configuration is."""

    @pytest.mark.parametrize(
        ("text", "publish", "files"),
        [
            (_BANDERSNATCH_PATHS, "m/web", ["r/a.txt"]),
            ("{ packages: {}, endpoint: 'https://index.example', destination_folder: '../out' }", "../out", []),
            ('{"repository": "repo", "package_types": []}', "repo", []),
            ("pypim -p --web out -A list.txt", "out", ["list.txt"]),
            ("simple-pypi-mirror req.txt /abs/req.txt --local-folder ./out", "out", ["req.txt", "/abs/req.txt"]),
        ],
        ids=["bandersnatch", "pypisync", "microrepo", "pypim", "simple-pypi-mirror"],
    )
    @pytest.mark.parametrize("new", ["", "new", "new/deeper", "../elsewhere"])
    def test_in_every_format(self, tmp_path: Path, text: str, publish: str, files: list[str], new: str) -> None:
        old, folder = tmp_path / "old", tmp_path / "old" / new
        converted = convert(text, old / "theirs.conf", folder)
        index = load_text(converted.text, folder / "pypim.toml").chosen("main")[0]
        assert index.publish == absolute(old, publish)
        assert [str(file) for file in index.requirement_files] == [str(absolute(old, file)) for file in files]
        assert str(tmp_path) not in converted.text, "both may be moved together"

    def test_what_the_old_file_does_not_say_is_beside_the_new(self, tmp_path: Path) -> None:
        converted = convert("simple-pypi-mirror flask", tmp_path / "run.txt", tmp_path / "new")
        index = load_text(converted.text, tmp_path / "new" / "pypim.toml").chosen("main")[0]
        assert index.publish == tmp_path / "new" / "public"

    def test_a_path_in_the_home_folder_stays(self, tmp_path: Path) -> None:
        converted = convert("pypim -p --web ~/out", tmp_path / "run.sh", tmp_path / "new")
        assert 'publish = "~/out"' in converted.text


def test_what_cannot_be_used_is_named_in_the_file_it_comes_from(tmp_path: Path) -> None:
    text = (
        "[mirror]\ndirectory = m\n[plugins]\nenabled = blocklist_project\n[blocklist]\npackages =\n    six\n    a>>1\n"
    )
    with pytest.raises(InvalidConfig) as caught:
        convert(text, tmp_path / "bandersnatch.conf", tmp_path / "new")
    (fault,) = caught.value.faults
    assert (fault.file, fault.line) == (str(tmp_path / "bandersnatch.conf"), None)
    assert fault.key == "indexes.main.filters.exclude[2]"
    assert "a>>1" in fault.message
    assert "pypim.toml" not in caught.value.message

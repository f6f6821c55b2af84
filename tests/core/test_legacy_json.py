"""The JSON API as bytes: releases, the newest of them, and what is shown of files."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import NormalizedName

from pypim.core.legacy_json import (
    Addresses,
    newest_release,
    release_named,
    releases_of,
    render_project,
    render_release,
)
from pypim.core.model import DistFile, Page
from pypim.core.names import parse_safe_filename

FOO = NormalizedName("foo")
TO = Addresses("https://here.example/main/", "https://here.example/")
SHA, BLAKE = "ab" * 32, "cd" * 32


def file(filename: str, **fields: Any) -> DistFile:
    return DistFile(filename=parse_safe_filename(filename), url=f"https://files.example/{filename}", **fields)


def page(*filenames: str, **fields: Any) -> Page:
    return Page(name=FOO, files=tuple(file(name) for name in filenames), **fields)


def document(made: Page, metadata: bytes | None = None, version: str | None = None) -> Any:
    releases = releases_of(made)
    shown = version or newest_release(releases)
    assert shown is not None
    render = render_release if version else render_project
    return json.loads(render(made, releases, shown, metadata, TO))


def test_case_46_versions_that_are_none_are_listed_and_sorted() -> None:
    """Case 46: version strings `2004d`, `1.0-SNAPSHOT`, `""` in `releases` → listed, sortable, no crash."""
    made = page(
        "foo-1.0.tar.gz", "foo-2004d.tar.gz", "foo-1.0-SNAPSHOT.tar.gz", "strange.whl", versions=("1.0", "2004d", "0.5")
    )
    releases = releases_of(made)
    assert list(releases) == ["", "1.0-SNAPSHOT", "2004d", "0.5", "1.0"]
    assert releases["0.5"] == ()
    assert newest_release(releases) == "1.0"
    assert [one["filename"] for one in document(made)["releases"][""]] == ["strange.whl"]


def test_case_47_versions_that_are_equal_are_one_release() -> None:
    """Case 47: `1.0` and `1.00` and `1.0.0` files in one project → one release identity, filenames untouched."""
    names = ("foo-1.0.tar.gz", "foo-1.00-py3-none-any.whl", "foo-1.0.0.zip")
    releases = releases_of(page(*names))
    assert list(releases) == ["1.0"]
    assert tuple(one.filename for one in releases["1.0"]) == names
    for text in ("1", "1.0", "1.00", "v1.0.0"):
        assert release_named(releases, text) == "1.0"
    assert release_named(releases, "1.1") is None


@pytest.mark.parametrize(
    ("files", "newest"),
    [
        ({"1.0": False, "2.0": False}, "2.0"),
        ({"1.0": False, "2.0": True}, "1.0"),
        ({"1.0": False, "2.0a1": False}, "1.0"),
        ({"1.0": "broken", "2.0a1": False}, "2.0a1"),
        ({"1.0a1": False, "1.0a2": True}, "1.0a1"),
        ({"1.0": True, "2.0": True}, "2.0"),
        ({"2004d": False, "1.0a1": True}, "2004d"),
    ],
)
def test_the_newest_is_not_yanked_then_final_then_highest(files: dict[str, bool | str], newest: str) -> None:
    listed = tuple(file(f"foo-{version}.tar.gz", yanked=yanked) for version, yanked in files.items())
    assert newest_release(releases_of(Page(name=FOO, files=listed, versions=(*files, "9.0")))) == newest


def test_a_project_without_anything_has_no_newest_release() -> None:
    assert newest_release(releases_of(page())) is None


METADATA = b"""Metadata-Version: 2.4
Name: Foo
Version: 1.0
Summary: Foolish
Author-email: A <a@example.org>
Keywords: a,b
Classifier: Topic :: X
Platform: any
Project-URL: Docs, https://docs.example
License-Expression: MIT
License-File: LICENSE
Requires-Dist: bar>=1
Provides-Extra: fast
Requires-Python: >=3.9
Description-Content-Type: text/markdown

# Foo
"""


def test_a_file_as_mirrors_read_it() -> None:
    """What bandersnatch needs: size, upload_time_iso_8601, digests.sha256, core-metadata, /packages URLs."""
    wheel = file(
        "foo-1.0-py2.py3-none-any.whl",
        sha256=SHA,
        blake2b_256=BLAKE,
        size=7,
        upload_time="2024-01-02T03:04:05.678901Z",
        requires_python=">=3.9",
        core_metadata=SHA,
        yanked="broken <it>",
    )
    made = document(Page(name=FOO, files=(wheel,), last_serial=12), METADATA)
    assert made["last_serial"] == 12
    assert made["urls"] == made["releases"]["1.0"]
    assert made["urls"] == [
        {
            "filename": "foo-1.0-py2.py3-none-any.whl",
            "packagetype": "bdist_wheel",
            "python_version": "py2.py3",
            "digests": {"blake2b_256": BLAKE, "sha256": SHA},
            "md5_digest": None,
            "core-metadata": {"sha256": SHA},
            "size": 7,
            "upload_time": "2024-01-02T03:04:05",
            "upload_time_iso_8601": "2024-01-02T03:04:05.678901Z",
            "url": f"https://here.example/packages/{BLAKE[:2]}/{BLAKE[2:4]}/{BLAKE[4:]}/foo-1.0-py2.py3-none-any.whl",
            "requires_python": ">=3.9",
            "yanked": True,
            "yanked_reason": "broken <it>",
            "comment_text": None,
            "has_sig": False,
            "downloads": -1,
        }
    ]
    info = made["info"]
    assert {key: info[key] for key in ("name", "version", "summary", "keywords", "platform", "requires_dist")} == {
        "name": "Foo",
        "version": "1.0",
        "summary": "Foolish",
        "keywords": "a,b",
        "platform": "any",
        "requires_dist": ["bar>=1"],
    }
    assert info["description"].strip() == "# Foo"
    assert info["project_urls"] == {"Docs": "https://docs.example"}
    assert info["package_url"] == info["project_url"] == "https://here.example/main/simple/foo/"
    assert info["release_url"] == "https://here.example/main/pypi/foo/1.0/json"
    assert (info["yanked"], info["yanked_reason"]) == (True, "broken <it>")


def test_what_nobody_said_is_null() -> None:
    made = document(Page(name=FOO, files=(file("foo-1.0.tar.gz", requires_python=">=3"),)))
    assert made["last_serial"] == 1
    assert made["info"]["summary"] is None
    assert made["info"]["requires_python"] == ">=3"
    entry = made["urls"][0]
    assert (entry["size"], entry["upload_time"], entry["core-metadata"], entry["digests"]) == (None, None, False, {})


def test_case_80_the_document_of_a_release_has_no_releases() -> None:
    """Case 80: version URL has no `releases` key."""
    made = document(page("foo-1.0.tar.gz", "foo-2.0.tar.gz"), version="1.0")
    assert "releases" not in made
    assert [one["filename"] for one in made["urls"]] == ["foo-1.0.tar.gz"]
    assert made["info"]["version"] == "1.0"


@pytest.mark.parametrize(
    ("filename", "kind", "python"),
    [
        ("foo-1.0.tar.gz", "sdist", "source"),
        ("foo-1.0-py2.7.egg", "bdist_egg", "2.7"),
        ("foo-1.0.win32-py2.7.exe", "bdist_wininst", "2.7"),
        ("foo-1.0.win32.msi", "bdist_msi", "any"),
        ("foo-1.0-1.noarch.rpm", "bdist_rpm", "any"),
        ("foo-1.0.linux-x86_64.tar.gz", "bdist_dumb", "any"),
        ("foo-1.0-cp313-cp313-linux_x86_64-x86_64_v3.whl", "bdist_wheel", "any"),
    ],
)
def test_every_kind_of_file_has_its_word(filename: str, kind: str, python: str) -> None:
    entry = next(one for files in document(page(filename))["releases"].values() for one in files)
    assert (entry["packagetype"], entry["python_version"]) == (kind, python)


@given(st.binary(max_size=300))
def test_metadata_of_any_bytes_is_shown_or_left_out(body: bytes) -> None:
    """Whatever an uploader or an upstream wrote there, the document is still one."""
    assert document(page("foo-1.0.tar.gz"), body)["info"]["version"] == "1.0"


@given(st.lists(st.text(max_size=8), max_size=6))
def test_any_versions_have_an_order(versions: list[str]) -> None:
    releases = releases_of(page("foo-1.0.tar.gz", versions=tuple(filter(None, versions))))
    assert newest_release(releases) in releases
    for text in releases:
        assert release_named(releases, text) is not None

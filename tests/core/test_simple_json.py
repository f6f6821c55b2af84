"""The JSON form of the Simple API: what real and hostile indexes serve, and what the strictest clients accept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from packaging.utils import NormalizedName

from pypim.core.errors import UpstreamMalformed
from pypim.core.model import DistFile, Page, ProjectList, ProjectStatus
from pypim.core.names import parse_safe_filename
from pypim.core.negotiate import ACCEPT_PAGE, PageFormat, page_format, parse_any_page, parse_any_project_list
from pypim.core.simple_json import parse_page, parse_project_list, render_page, render_project_list
from tests.worlds.nasty import HOSTILE_NAMES, NASTY_ENTRIES

URL = "https://index.example/simple/a/"
A = NormalizedName("a")
DIGEST = "ab" * 32
GOOD: dict[str, Any] = {"filename": "a-1.0.tar.gz", "url": "a-1.0.tar.gz", "hashes": {"sha256": DIGEST}}


def read(page: object) -> Page:
    return parse_page(json.dumps(page).encode(), URL, A)


def read_file(**changes: Any) -> DistFile:
    renamed = {key.replace("_", "-"): value for key, value in changes.items()}
    page = read({"meta": {"api-version": "1.4"}, "files": [{**GOOD, **renamed}]})
    assert len(page.files) == 1, page.dropped
    return page.files[0]


def file(filename: str = "a-1.0-py3-none-any.whl", **fields: Any) -> DistFile:
    return DistFile(**{"filename": parse_safe_filename(filename), "url": filename, **fields})


def test_a_file_as_the_standard_writes_it() -> None:
    page = read(
        {
            "meta": {"api-version": "1.4", "_last-serial": 7},
            "name": "A",
            "project-status": {"status": "archived", "reason": "done"},
            "versions": ["1.0", "0.9"],
            "files": [
                {
                    "filename": "a-1.0-py3-none-any.whl",
                    "url": f"https://files.example/packages/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST[4:]}/a-1.0-py3-none-any.whl",
                    "hashes": {"sha256": DIGEST.upper()},
                    "requires-python": ">=3.8",
                    "core-metadata": {"sha256": DIGEST},
                    "size": 10,
                    "upload-time": "2024-01-02T03:04:05.123456Z",
                    "yanked": "broken",
                    "gpg-sig": False,
                    "provenance": "https://index.example/integrity/a",
                    "unknown": {"deep": [1]},
                }
            ],
        }
    )
    only = page.files[0]
    assert (page.status, page.status_reason, page.versions, page.last_serial) == (
        ProjectStatus.ARCHIVED,
        "done",
        ("1.0", "0.9"),
        7,
    )
    assert (only.sha256, only.blake2b_256, only.core_metadata, only.size) == (DIGEST, DIGEST, DIGEST, 10)
    assert (only.upload_time, only.yanked, only.gpg_sig) == ("2024-01-02T03:04:05.123456Z", "broken", False)
    assert only.provenance == "https://index.example/integrity/a"


@pytest.mark.parametrize(
    "nulls", [{"size": None}, {"upload-time": ""}, {"yanked": None}, {"hashes": None}, {"size": "12"}]
)
def test_bad_optional_values_are_repaired(nulls: dict[str, Any]) -> None:
    """Case 15: `"size": null`, `"upload-time": ""`, `"yanked": null` cost neither the file nor the page."""
    page = read({"files": [{**GOOD, **nulls}, {**GOOD, "filename": "a-2.0.tar.gz"}]})
    assert [item.filename for item in page.files] == ["a-1.0.tar.gz", "a-2.0.tar.gz"]
    assert json.loads(render_page(page))["files"][0].keys() <= {"filename", "url", "hashes", "size"}


def test_nothing_an_index_can_write_costs_the_page() -> None:
    """One malformed entry is repaired or dropped with a sentence; all others stay."""
    good = [{**GOOD, "filename": f"a-{n}.0.tar.gz"} for n in range(2)]
    page = read({"files": [good[0], *NASTY_ENTRIES, good[1]]})
    names = [item.filename for item in page.files]
    assert names[0] == "a-0.0.tar.gz"
    assert names[-1] == "a-1.0.tar.gz"
    assert len(page.files) + len(page.dropped) == len(NASTY_ENTRIES) + 2
    assert not any("/" in name or "\\" in name or name.startswith(".") for name in names)
    assert not [item.url for item in page.files if not item.url.startswith(("http://", "https://"))]


@pytest.mark.parametrize("name", HOSTILE_NAMES[:14])
def test_no_file_name_leaves_its_folder(name: str) -> None:
    page = read({"files": [{**GOOD, "filename": name}]})
    assert not [item for item in page.files if "/" in item.filename or "\\" in item.filename]


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u00ad", "\x85", "\u2028", "\ufeff"])
def test_a_file_name_with_what_cannot_be_seen_is_dropped(character: str) -> None:
    """One that turns the direction of writing makes a name look like another."""
    page = read({"files": [GOOD, {**GOOD, "filename": f"a-1.0{character}.tar.gz"}]})
    assert [item.filename for item in page.files] == ["a-1.0.tar.gz"]
    assert len(page.dropped) == 1
    assert page.dropped[0].isprintable()


@pytest.mark.parametrize("said", ["b", "A-B", "a.b"])
def test_the_page_of_another_project_is_refused(said: str) -> None:
    """PEP 691: `name` is the normalised name of the project."""
    for more in ({}, {"meta": 5}):
        with pytest.raises(UpstreamMalformed, match="came in place of that of a"):
            read({"name": said, "files": [GOOD], **more})


@pytest.mark.parametrize("said", ["a", "A", None, 5, "", "?"])
def test_a_name_in_another_spelling_or_none_is_taken(said: object) -> None:
    assert read({"name": said, "files": [GOOD]}).files


def test_the_place_of_core_metadata_is_no_file() -> None:
    assert not read({"files": [{**GOOD, "filename": "a-1.0-py3-none-any.whl.metadata"}]}).files


@pytest.mark.parametrize(
    ("listed", "absolute"),
    [
        ("../../packages/a.zip", "https://index.example/packages/a.zip"),
        ("/a%20b.zip?x=1", "https://index.example/a%20b.zip?x=1"),
        ("//files.example/a+b!.zip", "https://files.example/a+b!.zip"),
        ("ü b.zip", "https://index.example/simple/a/%C3%BC%20b.zip"),
        ("http://files.example/a.zip", "http://files.example/a.zip"),
    ],
)
def test_urls_are_resolved_against_the_final_url(listed: str, absolute: str) -> None:
    """Case 26: relative file URLs in a page that was reached by a redirect."""
    assert read_file(url=listed).url == absolute


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://files.example/a.zip", "javascript:x", "", " ", "http://[::1", "http:///a.zip"]
)
def test_a_page_from_the_network_names_only_the_network(url: str) -> None:
    page = read({"files": [{**GOOD, "url": url}]})
    assert not page.files
    assert len(page.dropped) == 1


def test_a_page_from_the_disk_may_name_the_disk() -> None:
    page = parse_page(json.dumps({"files": [GOOD]}).encode(), "file:///mirror/simple/a/index.json", A)
    assert page.files[0].url == "file:///mirror/simple/a/a-1.0.tar.gz"


def test_a_fragment_is_taken_off_and_its_hash_used() -> None:
    one = read_file(url=f"a.zip#sha256={DIGEST}", hashes={})
    assert (one.url, one.sha256) == ("https://index.example/simple/a/a.zip", DIGEST)
    assert read_file(url="a.zip#sha256=" + "cd" * 32).sha256 == DIGEST


def test_hashes_are_checked_and_the_best_is_kept() -> None:
    """Cases 23, 24: hashes that no client can use are kept for checking, and not written."""
    assert read_file(hashes={"sha256": "123"}).sha256 is None
    assert read_file(hashes={"md5": "0" * 32, "sha512": "0" * 128}).other_hash == ("sha512", "0" * 128)
    assert read_file(hashes={"sha1": "0" * 40, "crc32": "0" * 8}).other_hash == ("sha1", "0" * 40)
    only_blake = read_file(hashes={"blake2b_256": DIGEST})
    assert (only_blake.sha256, only_blake.blake2b_256) == (None, DIGEST)
    sha1 = read_file(hashes={"sha1": "0" * 40})
    for unusable in (only_blake, sha1):
        assert json.loads(render_page(Page(name=A, files=(unusable,))))["files"][0]["hashes"] == {}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, None),
        ({"core-metadata": None}, None),
        ({"core-metadata": False, "dist-info-metadata": True}, False),
        ({"core-metadata": {}}, None),
        ({"core-metadata": {"sha256": DIGEST}}, DIGEST),
        ({"core-metadata": {"sha256": "x"}}, None),
        ({"core-metadata": {"sha256": 5}}, None),
        ({"core-metadata": {"sha512": DIGEST * 2}}, True),
        ({"core-metadata": "true"}, None),
        ({"data-dist-info-metadata": {"sha256": DIGEST}}, DIGEST),
        ({"dist-info-metadata": True, "core-metadata": {"sha256": DIGEST}}, DIGEST),
    ],
)
def test_core_metadata_is_preferred_to_its_old_names(keys: dict[str, Any], expected: object) -> None:
    assert read_file(**keys).core_metadata == expected


@pytest.mark.parametrize(
    ("time", "is_kept"),
    [
        ("2024-01-02T03:04:05Z", True),
        ("2024-01-02T03:04:05.1+00:00", True),
        ("2024-01-02T03:04:05", False),
        ("2024-02-30T03:04:05Z", False),
        ("2024-01-02T03:04:05+02:00", False),
        ("yesterday", False),
    ],
)
def test_an_upload_time_is_in_utc_or_unknown(time: str, *, is_kept: bool) -> None:
    assert read_file(upload_time=time).upload_time == (time if is_kept else None)


CONTENT_URL = f"https://files.example/packages/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST[4:]}"


@pytest.mark.parametrize(
    ("filename", "url"),
    [
        ("a-2.0.tar.gz", f"{CONTENT_URL}/a-2.0.tar.gz"),
        ("a-2.0.tar.gz", f"{CONTENT_URL}/a-2.0.tar.gz#sha256={DIGEST}"),
        ("a-2.0.tar.gz", f"{CONTENT_URL}/other.tar.gz"),
        ("a-2.0.tar.gz", f"{CONTENT_URL.upper()}/a-2.0.tar.gz"),
        ("a-2.0.tar.gz", f"{CONTENT_URL[:-4]}/..//a-2.0.tar.gz"),
        ("a-2.0.tar.gz", f"https://files.example/packages/a/bab/{DIGEST[4:]}/a-2.0.tar.gz"),
        ("a-2.0.tar.gz", f"https://files.example/packages/{'zz' * 32}ab/a-2.0.tar.gz"),
        ("a-2.0.tar.gz", "https://files.example/packages/a-2.0.tar.gz"),
        ("a-2.0.tar.gz", f"https://else.example/packages/{DIGEST[:2]}/{DIGEST[2:4]}/{DIGEST[4:]}/a-2.0.tar.gz"),
        ("a 2.0.tar.gz", f"{CONTENT_URL}/a 2.0.tar.gz"),
        ("a-2.0.metadata", f"{CONTENT_URL}/a-2.0.metadata"),
    ],
)
def test_an_entry_says_the_same_behind_another_as_alone(filename: str, url: str) -> None:
    """Nearly all addresses of a page differ in digest and name only, and such a one is not taken apart again."""
    entry = {"filename": filename, "url": url, "hashes": {"sha256": DIGEST}}
    first = {**GOOD, "url": f"{CONTENT_URL}/a-1.0.tar.gz"}
    alone, behind = read({"files": [entry]}), read({"files": [first, entry]})
    assert behind.files[1:] == alone.files
    assert behind.dropped == alone.dropped


def test_the_first_of_two_entries_with_one_name_counts() -> None:
    page = read({"files": [GOOD, {**GOOD, "url": "other"}]})
    assert [item.url for item in page.files] == [f"{URL}a-1.0.tar.gz"]
    assert "more than once" in page.dropped[0]


@pytest.mark.parametrize("version", ["2.0", "0.1", "x", "", 2])
def test_another_major_version_is_refused(version: object) -> None:
    """PEP 629: a greater major version must fail."""
    with pytest.raises(UpstreamMalformed, match="version"):
        read({"meta": {"api-version": version}, "files": []})


@pytest.mark.parametrize("meta", [{}, None, [], {"api-version": "1.5"}, {"api-version": None}, {"tracks": ["x"]}])
def test_a_missing_version_is_1_0_and_a_greater_minor_is_read(meta: object) -> None:
    """Cases 13, 14: 1.5 with namespaces, and the rejected tracks, are read and never written."""
    page = read({"meta": meta, "namespaces": [{"name": "a"}], "alternate-locations": ["x"], "files": [GOOD]})
    assert len(page.files) == 1
    written = render_page(page)
    assert b"namespaces" not in written
    assert json.loads(written)["meta"]["api-version"] in {"1.0", "1.4"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nonsense",
        b'"a"',
        b"{",
        b"\xff\xfe",
        b'{"message": "not found"}',
        b'{"files": null}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_page_is_refused(body: bytes) -> None:
    """An error page is never read as an empty project."""
    with pytest.raises(UpstreamMalformed, match=r"index\.example"):
        parse_page(body, URL, A)
    with pytest.raises(UpstreamMalformed):
        parse_project_list(body, URL)


@pytest.mark.parametrize("status", [None, {}, {"status": None}, "archived", {"status": "Archived"}, {"status": "new"}])
def test_an_unknown_status_is_active(status: object) -> None:
    """Case 45: `{"project-status": null}` is read, and the key is not written."""
    page = read({"project-status": status, "files": [GOOD]})
    assert page.status is ProjectStatus.ACTIVE
    assert "project-status" not in json.loads(render_page(page))


def test_what_is_written_has_no_nulls_and_all_that_clients_need() -> None:
    """Cases 12-16, 39: api-version, integer serial, versions, hashes always; `yanked` true without a reason."""
    files = (file(yanked=True, size=1, sha256=DIGEST), file("a-1.0.post1.zip", yanked='"<&\n', size=2))
    written = json.loads(render_page(Page(name=A, files=files, status=ProjectStatus.QUARANTINED)))
    assert written == {
        "meta": {"api-version": "1.4", "_last-serial": 1},
        "name": "a",
        "project-status": {"status": "quarantined"},
        "files": [
            {
                "filename": "a-1.0-py3-none-any.whl",
                "hashes": {"sha256": DIGEST},
                "url": "a-1.0-py3-none-any.whl",
                "size": 1,
                "yanked": True,
            },
            {"filename": "a-1.0.post1.zip", "hashes": {}, "url": "a-1.0.post1.zip", "size": 2, "yanked": '"<&\n'},
        ],
        "versions": ["1.0", "1.0.post1"],
    }


def test_a_page_without_a_size_says_1_0() -> None:
    """PEP 700: from 1.1 on every file has a size."""
    assert json.loads(render_page(Page(name=A, files=(file(),))))["meta"]["api-version"] == "1.0"


def test_versions_are_normalised_and_legacy_ones_kept() -> None:
    """Case 46."""
    page = Page(name=A, files=(file("a-2004d.zip"), file("a-1.0.zip"), file("a-0.9.zip"), file("setup.exe")))
    assert json.loads(render_page(page))["versions"] == ["2004d", "0.9", "1.0"]
    page = Page(name=A, versions=("1.0-1", "1.0.post1", "2004d"))
    assert json.loads(render_page(page))["versions"] == ["1.0.post1", "2004d"]


def test_the_project_list() -> None:
    """Case 39: every entry has an integer serial."""
    body = json.dumps(
        {
            "meta": {"api-version": "1.4", "_last-serial": 9},
            "projects": [{"name": "Foo.Bar", "_last-serial": 3}, {"name": "b"}, {"name": "../x"}, {"name": 7}, None],
        }
    ).encode()
    listed = parse_project_list(body, URL)
    assert listed.projects == {"foo-bar": 3, "b": None}
    assert len(listed.dropped) == 3
    written = json.loads(render_project_list(listed))
    assert written["projects"] == [{"name": "b", "_last-serial": 9}, {"name": "foo-bar", "_last-serial": 3}]
    assert parse_project_list(render_project_list(listed), URL).projects == {"foo-bar": 3, "b": 9}


def test_an_empty_project_list_has_a_serial() -> None:
    assert json.loads(render_project_list(ProjectList(projects={})))["meta"]["_last-serial"] == 1


def test_the_type_of_an_answer_decides_how_it_is_read() -> None:
    assert " " not in ACCEPT_PAGE
    assert page_format("application/vnd.pypi.simple.v1+json; charset=utf-8", URL) is PageFormat.JSON
    assert page_format("application/json", URL) is PageFormat.JSON
    assert page_format("Text/HTML;charset=x", URL) is PageFormat.HTML
    assert page_format("", URL) is PageFormat.HTML
    for unknown in ("application/vnd.pypi.simple.v2+json", "text/plain", "application/octet-stream"):
        with pytest.raises(UpstreamMalformed):
            page_format(unknown, URL)
    body = json.dumps({"files": [GOOD], "projects": [{"name": "a"}]}).encode()
    assert parse_any_page(body, "application/json", URL, A).files
    assert parse_any_project_list(body, "application/json", URL).projects
    assert parse_any_page(b"<a href='a-1.zip'>a</a>", "text/html", URL, A).files
    assert parse_any_project_list(b"<a href='a/'>a</a>", "text/html", URL).projects

"""The HTML form of the Simple API: old, lax and hostile pages in, strict ones out."""

from __future__ import annotations

from typing import Any

import pytest
from packaging.utils import NormalizedName

from pypim.core.errors import UpstreamMalformed
from pypim.core.model import DistFile, Page, ProjectList, ProjectStatus
from pypim.core.names import parse_safe_filename
from pypim.core.simple_html import parse_links, parse_page, parse_project_list, render_page, render_project_list
from tests.worlds.nasty import NASTY_ANCHORS

URL = "https://index.example/simple/a/"
A = NormalizedName("a")
DIGEST = "ab" * 32


def read(body: str) -> Page:
    return parse_page(body.encode(), URL, A)


def read_file(attributes: str = "", fragment: str = "") -> DistFile:
    page = read(f'<!DOCTYPE html><a href="a-1.0.tar.gz{fragment}" {attributes}>a-1.0.tar.gz</a>')
    assert len(page.files) == 1, page.dropped
    return page.files[0]


def written(**fields: Any) -> str:
    file = DistFile(**{"filename": parse_safe_filename("a-1.0.zip"), "url": "a-1.0.zip", **fields})
    return render_page(Page(name=A, files=(file,))).decode()


def test_a_page_as_the_standard_writes_it() -> None:
    page = read(
        '<html><head><meta name="pypi:repository-version" content="1.4">'
        '<meta name="pypi:project-status" content="archived">'
        '<meta name="pypi:project-status-reason" content="a &lt; b">'
        f'</head><body><A HREF="/p/a-1.0-py3-none-any.whl#sha256={DIGEST}" data-requires-python="&gt;=3.8"'
        f' data-core-metadata="sha256={DIGEST}" data-yanked="bad &quot;one&quot;" data-gpg-sig="true" data-size="12"'
        ' data-upload-time="2024-01-02T03:04:05Z" data-provenance="https://index.example/i">x</A></body></html>'
        "<!--SERIAL 123-->"
    )
    only = page.files[0]
    assert (page.status, page.status_reason, page.last_serial) == (ProjectStatus.ARCHIVED, "a < b", 123)
    assert (only.filename, only.url) == ("a-1.0-py3-none-any.whl", "https://index.example/p/a-1.0-py3-none-any.whl")
    assert (only.sha256, only.core_metadata, only.requires_python) == (DIGEST, DIGEST, ">=3.8")
    assert (only.yanked, only.gpg_sig, only.size) == ('bad "one"', True, 12)
    assert (only.upload_time, only.provenance) == ("2024-01-02T03:04:05Z", "https://index.example/i")


@pytest.mark.parametrize(("attributes", "yanked"), [("data-yanked", True), ('data-yanked=""', True), ("", False)])
def test_a_yanked_attribute_without_a_value_means_yanked(attributes: str, *, yanked: bool) -> None:
    """PEP 592: the presence of the attribute is what counts."""
    assert read_file(attributes).yanked is yanked


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", None),
        ('data-core-metadata="true"', True),
        ('data-core-metadata="false" data-dist-info-metadata="true"', False),
        (f'data-dist-info-metadata="sha256={DIGEST}"', DIGEST),
        (f'data-dist-info-metadata="true" data-core-metadata="sha256={DIGEST}"', DIGEST),
        ('data-core-metadata=""', None),
        ('data-core-metadata="garbage"', None),
    ],
)
def test_core_metadata_is_preferred_to_its_old_name(attributes: str, expected: object) -> None:
    assert read_file(attributes).core_metadata == expected


@pytest.mark.parametrize(
    ("fragment", "sha256", "other"),
    [
        (f"#sha256={DIGEST.upper()}", DIGEST, None),
        ("#md5=" + "0" * 32, None, ("md5", "0" * 32)),
        ("#sha1=12", None, None),
        (f"#egg=a&sha256={DIGEST}", DIGEST, None),
        ("#whirlpool=00", None, None),
        ("", None, None),
    ],
)
def test_the_fragment_holds_one_hash(fragment: str, sha256: str | None, other: object) -> None:
    file = read_file(fragment=fragment)
    assert (file.sha256, file.other_hash, file.url) == (sha256, other, f"{URL}a-1.0.tar.gz")


def test_links_are_relative_to_the_base() -> None:
    page = read('<base href="../../files/"><base href="/no/"><a href="a-1.zip?x=1">a</a><a href="/a-2.zip">a</a>')
    assert [file.url for file in page.files] == [
        "https://index.example/files/a-1.zip?x=1",
        "https://index.example/a-2.zip",
    ]


def test_a_page_that_ends_inside_a_tag_is_not_whole() -> None:
    """Without a Content-Length nothing else shows that it broke off, and the newest files stand last."""
    start, end = '<!DOCTYPE html><a href="a-1.zip">a</a>\n', '<a href="a-2.zip" data-requires-python=">=3">a-2</a>'
    for cut in range(1, len(end)):
        with pytest.raises(UpstreamMalformed, match="broke off") as caught:
            read(start + end[:cut])
        assert caught.value.is_transient
    assert len(read(start + end).files) == 2
    for whole in (start, f"{start}<br>", f"{start}2 < 3", f"{start}<!-- < -->"):
        assert len(read(whole).files) == 1
    for cut_end in ("<", "</", "</bo", "<b", "<!-", '<meta name="x'):
        with pytest.raises(UpstreamMalformed):
            read(start + cut_end)
    for parse in (parse_links, parse_project_list):
        with pytest.raises(UpstreamMalformed):
            parse((start + '<a href="b').encode(), URL)


def test_a_base_cannot_lead_into_the_disk() -> None:
    page = read('<base href="file:///etc/"><a href="a-1.zip">a</a>')
    assert not page.files
    assert "file of this machine" in page.dropped[0]


def test_links_that_lead_elsewhere_are_no_files() -> None:
    """Navigation, parents, home pages, and links in comments are ignored without a word."""
    page = read(
        '<a href="../">up</a><a href="/simple/">all</a><a href="https://home.example/">home</a><a>none</a>'
        '<a href="">x</a>'
        '<a href="#top">top</a><a href="index.html">i</a><a href="mailto:a@b.example">m</a>'
        '<!-- <a href="a-1.zip">a</a> --><a href="a-2.zip">a-2.zip</a>'
    )
    assert [file.filename for file in page.files] == ["a-2.zip"]
    assert not page.dropped


def test_the_name_is_in_the_path_and_percent_encoded() -> None:
    page = read('<a href="/p/a-1.0%2Blocal-py3-none-any.whl">whatever</a>')
    assert page.files[0].filename == "a-1.0+local-py3-none-any.whl"


@pytest.mark.parametrize("href", ["..%2F..%2Fetc%2Fpasswd-1.0.zip", "%2e%2e%5ca-1.zip", "a%00-1.zip"])
def test_no_encoded_name_leaves_its_folder(href: str) -> None:
    page = read(f'<a href="{href}">a</a>')
    assert not page.files
    assert len(page.dropped) == 1


def test_hostile_anchors_cost_nothing_but_themselves() -> None:
    page = read(f'<a href="a-1.zip">a</a>{"".join(NASTY_ANCHORS)}<a href="a-2.zip">a</a>')
    assert page.files[0].filename == "a-1.zip"
    assert {"a-2.zip", "evil-9.19-py3-none-any.whl", "evil-9.14.tar.gz"} <= {file.filename for file in page.files}
    assert "evil-9.15-py3-none-any.whl" not in {file.filename for file in page.files}
    assert all(file.url.startswith("https://") for file in page.files)


@pytest.mark.parametrize("version", ["2.0", "3", "x"])
def test_another_major_version_is_refused(version: str) -> None:
    with pytest.raises(UpstreamMalformed, match="version"):
        read(f'<meta name="pypi:repository-version" content="{version}"><a href="a-1.zip">a</a>')


@pytest.mark.parametrize("body", ["", " \n"])
def test_an_empty_body_is_no_page(body: str) -> None:
    with pytest.raises(UpstreamMalformed, match="empty"):
        read(body)


def test_any_page_of_links_can_be_read() -> None:
    files, dropped = parse_links(b'<a href="b-1.zip">b</a><a href="c-1.zip">c</a><a href="ftp://x/d-1.zip">d</a>', URL)
    assert [file.filename for file in files] == ["b-1.zip", "c-1.zip"]
    assert len(dropped) == 1


def test_the_project_list() -> None:
    listed = parse_project_list(
        b'<a href="/simple/foo-bar/">Foo.Bar</a><a href="b">B</a><a href="../">up</a><a href="/">home</a>'
        b'<a href="%2B/">Named_C</a><a href="%21/">!</a><!--SERIAL 5-->',
        URL,
    )
    assert listed.projects == dict.fromkeys(["foo-bar", "b", "named-c"])
    assert (listed.last_serial, len(listed.dropped)) == (5, 1)
    assert parse_project_list(render_project_list(listed), URL).projects == listed.projects


def test_what_is_written_is_frozen_at_1_4() -> None:
    """Case 12: HTML never carries an api-version above 1.4 (PEP 833)."""
    text = written()
    assert '<meta name="pypi:repository-version" content="1.4">' in text
    assert "SERIAL" not in text
    assert b"<!--SERIAL 3-->" in render_page(Page(name=A, last_serial=3))
    assert b'content="1.4"' in render_project_list(ProjectList(projects={}))


def test_attributes_are_escaped() -> None:
    """Cases 18, 19: reasons with quotes and newlines, and raw `>` which breaks readers that use patterns."""
    text = written(requires_python=">=3.7,<4", yanked='a "<&\r\nb')
    assert 'data-requires-python="&gt;=3.7,&lt;4"' in text
    assert 'data-yanked="a &quot;&lt;&amp;&#13;\nb"' in text
    assert read(text).files[0].yanked == 'a "<&\r\nb'


def test_yanked_is_never_a_bare_attribute() -> None:
    """Case 16: pip takes an attribute without a value for "not yanked"."""
    assert 'data-yanked=""' in written(yanked=True)
    assert "data-yanked" not in written()


@pytest.mark.parametrize("claim", [None, False])
def test_absent_metadata_has_no_attribute(claim: bool | None) -> None:
    """Case 20: pip takes "false" for "there is some"."""
    assert "metadata" not in written(core_metadata=claim)


def test_only_sha256_stands_in_a_fragment() -> None:
    """Case 23: any other hash makes uv reject the page."""
    assert f'href="a-1.0.zip#sha256={DIGEST}"' in written(sha256=DIGEST)
    assert 'href="a-1.0.zip">' in written(other_hash=("sha1", "0" * 40), blake2b_256=DIGEST)


def test_signatures_are_said_of_all_files_or_of_none() -> None:
    first = DistFile(filename=parse_safe_filename("a-1.zip"), url="a-1.zip", gpg_sig=True)
    second = DistFile(filename=parse_safe_filename("a-2.zip"), url="a-2.zip")
    assert b"gpg-sig" not in render_page(Page(name=A, files=(first, second)))
    assert b'data-gpg-sig="true"' in render_page(Page(name=A, files=(first,)))

"""The HTML form of the Simple API (PEP 503 with the attributes of 592, 658, 714, 740, 792): bytes to values and back.

Written as API 1.4, where HTML is frozen for ever (PEP 833). `data-size` and `data-upload-time` are no part of it: they
are written and read because some clients do the same, and nothing else carries these facts in HTML.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin

from pypim.core.entries import CoreMetadataClaim, EntryReader, RawEntry, check_api_version, parse_status, serial_of
from pypim.core.errors import InvalidName, UpstreamMalformed
from pypim.core.html_tags import Attributes, BrokenOff, StartTag, link_text, start_tags
from pypim.core.model import DistFile, Page, ProjectList, ProjectStatus
from pypim.core.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.utils import NormalizedName

_API_VERSION = "1.4"
_FILE_NAME = re.compile(
    r".+\.(?:whlx?|egg|zip|exe|msi|rpm|dmg|deb|t[gblx]z2?|tar(?:\.[A-Za-z0-9]{1,5})?)", re.IGNORECASE | re.DOTALL
)
_FILE_ATTRIBUTES = ("data-requires-python", "data-core-metadata", "data-dist-info-metadata", "data-yanked")
_HASH_FRAGMENT = re.compile(r"(?:sha|md5|blake)[a-z0-9_]*=", re.IGNORECASE)
_SERIAL = re.compile(rb"<!--\s*SERIAL\s+(\d{1,15})\s*-->")
_METADATA_HASH = re.compile(r"([A-Za-z0-9_]+)=([0-9A-Fa-f]+)", re.ASCII)
_MAX_SIZE_DIGITS = 18
_HEAD = re.compile(r"<(?:meta|base)(?=[\s/>])", re.IGNORECASE)


def parse_page(body: bytes, url: str, name: NormalizedName) -> Page:
    """Read a project page; `url` is the final one. Raises UpstreamMalformed on another major version, or no body."""
    document = _decode(body, url)
    metas, base_url = _head(document, url)
    files, dropped = _links(document, url, base_url)
    status, reason = parse_status(metas.get("pypi:project-status"), metas.get("pypi:project-status-reason"))
    return Page(
        name=name,
        files=files,
        status=status,
        status_reason=reason,
        last_serial=_parse_serial(body),
        dropped=dropped,
    )


def parse_links(body: bytes, url: str) -> tuple[tuple[DistFile, ...], tuple[str, ...]]:
    """(every file that a page of any kind links to, one sentence for each link that looks like one and is unusable)."""
    document = _decode(body, url)
    return _links(document, url, _head(document, url)[1])


def parse_project_list(body: bytes, url: str) -> ProjectList:
    """Read the list of all projects: the last part of each link's path, or else its text, is the name."""
    document = _decode(body, url)
    _head(document, url)
    projects: dict[NormalizedName, int | None] = {}
    dropped = []
    for tag in _tags(document, url):
        href = tag.attributes.get("href")
        if tag.name != "a" or href is None:
            continue
        part = unquote(_path(href).rstrip("/").rpartition("/")[2])
        if part in {"", ".", ".."}:
            continue  # a link upwards, or to this page
        name = _name_or_none(part)
        if name is None:
            text = link_text(document, tag.end).strip()
            name = _name_or_none(text)
            if name is None:
                dropped.append(f"{(text or part)[:200]!r} is not a project name")
                continue
        projects.setdefault(name, None)
    return ProjectList(projects=projects, last_serial=_parse_serial(body), dropped=tuple(dropped))


def render_page(page: Page) -> bytes:
    """Write a project page; URLs stand as they are, and may be relative."""
    metas = []
    if page.status is not ProjectStatus.ACTIVE or page.status_reason:
        metas.append(f'<meta name="pypi:project-status" content="{_escape(page.status)}">')
    if page.status_reason:
        metas.append(f'<meta name="pypi:project-status-reason" content="{_escape(page.status_reason)}">')
    has_signatures = all(file.gpg_sig is not None for file in page.files)  # PEP 503: on every link or on none
    links = [_link(file, has_signatures=has_signatures) for file in page.files]
    return _document(f"Links for {page.name}", metas, links, page.last_serial)


def render_project_list(projects: ProjectList) -> bytes:
    """Write the list of projects by name; links are relative to the page."""
    links = [f'<a href="{_escape(name)}/">{_escape(name)}</a><br>' for name in sorted(projects.projects)]
    return _document("Simple index", [], links, projects.last_serial)


def _decode(body: bytes, url: str) -> str:
    if not body.strip():
        raise UpstreamMalformed(url, "the page is empty", hint="Check that the URL is that of a Simple API.")
    return body.decode("utf-8", "replace").removeprefix("\ufeff")


def _head(document: str, url: str) -> tuple[dict[str, str], str]:
    """(the metas, the base of relative links). Raises UpstreamMalformed on another major version.

    PEP 629, 792: `<meta name="pypi:…" content="…">`. Of several with one name, and of several bases, the first counts.
    """
    metas: dict[str, str] = {}
    base: str | None = None
    for tag in _tags(document, url) if _HEAD.search(document) else ():
        if tag.name == "meta" and "content" in tag.attributes:
            metas.setdefault(tag.attributes.get("name") or "", tag.attributes["content"] or "")
        elif tag.name == "base" and base is None:
            base = tag.attributes.get("href")
    check_api_version(metas.get("pypi:repository-version"), url)
    try:
        return metas, url if base is None else urljoin(url, base.strip())
    except ValueError:  # no URL at all
        return metas, url


def _tags(document: str, url: str) -> Iterator[StartTag]:
    try:
        yield from start_tags(document)
    except BrokenOff:
        raise UpstreamMalformed(url, "the page ends inside a tag: it broke off", is_transient=True) from None


def _links(document: str, url: str, base_url: str) -> tuple[tuple[DistFile, ...], tuple[str, ...]]:
    reader = EntryReader(url, base_url)
    for tag in _tags(document, url):
        if tag.name == "a" and "href" in tag.attributes:
            href = (tag.attributes["href"] or "").strip()
            filename = _last_part(href)
            if _is_file(filename, href, tag.attributes):
                reader.add(_entry(filename, href, tag.attributes))
    return reader.files, reader.dropped


def _last_part(href: str) -> str:
    """The last part of the path, percent-decoded; it may be unsafe, which the reader of entries finds."""
    return unquote(_path(href).rpartition("/")[2])


def _path(href: str) -> str:
    return href.partition("#")[0].partition("?")[0]


def _is_file(filename: str, href: str, attributes: Attributes) -> bool:
    """Whether a link means a file, and is not there to get about: by its name, its hash or its attributes."""
    if not filename or filename in {".", ".."}:
        return False
    return (
        _FILE_NAME.fullmatch(filename) is not None
        or _HASH_FRAGMENT.match(href.partition("#")[2]) is not None
        or any(name in attributes for name in _FILE_ATTRIBUTES)
    )


def _entry(filename: str, url: str, attributes: Attributes) -> RawEntry:
    signature = attributes.get("data-gpg-sig")
    size = attributes.get("data-size") or ""
    return RawEntry(
        filename=filename,
        url=url,
        requires_python=attributes.get("data-requires-python"),
        core_metadata=_claim(attributes.get("data-core-metadata")),
        dist_info_metadata=_claim(attributes.get("data-dist-info-metadata")),
        gpg_sig={"true": True, "false": False}.get(signature or ""),
        yanked=(attributes["data-yanked"] or True) if "data-yanked" in attributes else False,
        size=int(size) if size.isascii() and size.isdigit() and len(size) <= _MAX_SIZE_DIGITS else None,
        upload_time=attributes.get("data-upload-time"),
        provenance=attributes.get("data-provenance"),
    )


def _claim(value: str | None) -> CoreMetadataClaim:
    """PEP 714: `true`, or one hash; `false` is no value of the standard, yet leaves no doubt."""
    if value in {"true", "false"}:
        return value == "true"
    match = _METADATA_HASH.fullmatch(value or "")
    return {match[1]: match[2]} if match else None


def _parse_serial(body: bytes) -> int | None:
    found = _SERIAL.findall(body)
    return serial_of(int(found[-1])) if found else None


def _name_or_none(text: str) -> NormalizedName | None:
    try:
        return parse_name(text)
    except InvalidName:
        return None


def _link(file: DistFile, *, has_signatures: bool) -> str:
    """One anchor; an attribute stands only where there is something to say (some clients take "false" for yes)."""
    fragment = f"#sha256={file.sha256}" if file.sha256 else ""
    parts = [f'<a href="{_escape(file.url)}{fragment}"']
    for name, value in _attributes(file):
        parts.append(f'{name}="{_escape(value)}"')
    if has_signatures:
        parts.append(f'data-gpg-sig="{str(bool(file.gpg_sig)).lower()}"')
    return f"{' '.join(parts)}>{_escape(file.filename)}</a><br>"


def _attributes(file: DistFile) -> Iterator[tuple[str, str]]:
    if file.requires_python:
        yield "data-requires-python", file.requires_python
    if file.yanked is not False:
        yield "data-yanked", file.yanked if isinstance(file.yanked, str) else ""
    if file.core_metadata:
        claim = f"sha256={file.core_metadata}" if isinstance(file.core_metadata, str) else "true"
        yield "data-core-metadata", claim
        yield "data-dist-info-metadata", claim
    if file.provenance:
        yield "data-provenance", file.provenance
    if file.size is not None:
        yield "data-size", str(file.size)
    if file.upload_time:
        yield "data-upload-time", file.upload_time


def _escape(text: str) -> str:
    # A bare carriage return would be read back as a line feed.
    return escape(text).replace("\r", "&#13;")


def _document(title: str, metas: list[str], links: list[str], last_serial: int | None) -> bytes:
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta name="pypi:repository-version" content="{_API_VERSION}">',
        *metas,
        f"<title>{_escape(title)}</title>",
        "</head>",
        "<body>",
        f"<h1>{_escape(title)}</h1>",
        *links,
        "</body>",
        "</html>",
    ]
    if last_serial is not None:
        lines.append(f"<!--SERIAL {last_serial}-->")
    return ("\n".join(lines) + "\n").encode()

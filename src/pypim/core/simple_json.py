"""The JSON form of the Simple API (PEP 691, 700, 714, 740, 792): bytes to values and back.

Reading is patient; writing is strict: what the strictest client refuses is never written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pypim.core.decode_json import ListedProject, Meta, Status, decode_list, decode_page
from pypim.core.entries import EntryReader, check_api_version, optional_text, parse_status, serial_of
from pypim.core.errors import InvalidName, UpstreamMalformed
from pypim.core.filenames import parse_version, release_and_kind
from pypim.core.model import DistFile, Page, ProjectList, ProjectStatus
from pypim.core.names import parse_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

API_VERSION = "1.4"
_API_VERSION_WITHOUT_SIZES = "1.0"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MOST_VERSION_CHARS = 300
"""No file name has room for more."""
_CLIENT_HASHES = frozenset(("sha512", "sha384", "md5"))
"""Besides sha256: what pip and uv both check; anything else breaks one of them when it stands alone."""


class _WrittenFile(msgspec.Struct, kw_only=True, gc=False, omit_defaults=True, rename="kebab"):
    """What we write of a file: nothing that is not known, never a null."""

    filename: str
    hashes: dict[str, str]
    url: str
    requires_python: str | msgspec.UnsetType = msgspec.UNSET
    size: int | msgspec.UnsetType = msgspec.UNSET
    upload_time: str | msgspec.UnsetType = msgspec.UNSET
    yanked: bool | str = False
    core_metadata: bool | dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    gpg_sig: bool | msgspec.UnsetType = msgspec.UNSET
    provenance: str | msgspec.UnsetType = msgspec.UNSET


class _WrittenPage(msgspec.Struct, kw_only=True, rename="kebab"):
    meta: Meta
    name: str
    project_status: Status | msgspec.UnsetType = msgspec.UNSET
    files: list[_WrittenFile]
    versions: list[str]


class _WrittenList(msgspec.Struct):
    meta: Meta
    projects: list[ListedProject]


_encoder = msgspec.json.Encoder()


def parse_page(body: bytes, url: str, name: NormalizedName) -> Page:
    """Read a project page; `url` is the final one, against which relative links are resolved.

    Raises UpstreamMalformed when the body is no project page, that of another project, or of another major version.
    """
    page, shapeless = decode_page(body.removeprefix(_BYTE_ORDER_MARK), url)
    check_api_version(page.meta.api_version, url)
    _refuse_another(page.name, url, name)
    reader = EntryReader(url)
    for sentence in shapeless:
        reader.drop(sentence)
    entries = list(reversed(page.files))
    page.files = []
    while entries:  # each is let go of once it is read, for a page may have very many
        reader.add(entries.pop())
    said = page.project_status or Status()
    status, reason = parse_status(said.status, said.reason)
    return Page(
        name=name,
        files=reader.files,
        status=status,
        status_reason=reason,
        versions=_versions(page.versions or ()),
        last_serial=serial_of(page.meta.last_serial),
        dropped=reader.dropped,
    )


def _refuse_another(said: str | None, url: str, name: NormalizedName) -> None:
    """PEP 691: a page says whose it is; spellings of one name are one."""
    try:
        is_another = said is not None and parse_name(said) != name
    except InvalidName:
        return  # nobody's
    if is_another:
        raise UpstreamMalformed(url, f"the page of {said} came in place of that of {name}")


def _versions(said: Iterable[object]) -> tuple[str, ...]:
    texts = filter(None, map(optional_text, said))
    return tuple(dict.fromkeys(text for text in texts if len(text) <= _MOST_VERSION_CHARS))


def parse_project_list(body: bytes, url: str) -> ProjectList:
    """Read the list of all projects. Raises UpstreamMalformed as `parse_page` does."""
    listed = decode_list(body.removeprefix(_BYTE_ORDER_MARK), url)
    check_api_version(listed.meta.api_version, url)
    projects: dict[NormalizedName, int | None] = {}
    dropped = []
    for project in listed.projects:
        try:
            projects.setdefault(parse_name(project.name), serial_of(project.last_serial))
        except InvalidName as error:
            dropped.append(error.message)
    return ProjectList(projects=projects, last_serial=serial_of(listed.meta.last_serial), dropped=tuple(dropped))


def render_page(page: Page) -> bytes:
    """Write a project page; URLs stand as they are, and may be relative.

    Version 1.4, or 1.0 when a size is not known, for from 1.1 on every file must have one (PEP 700).
    """
    is_complete = all(file.size is not None for file in page.files)
    written = _WrittenPage(
        meta=Meta(API_VERSION if is_complete else _API_VERSION_WITHOUT_SIZES, max(page.last_serial or 1, 1)),
        name=page.name,
        files=[_written_file(file) for file in page.files],
        versions=page_versions(page),
    )
    if page.status is not ProjectStatus.ACTIVE or page.status_reason:
        written.project_status = Status(page.status, page.status_reason)
    return _encoder.encode(written)


def render_project_list(projects: ProjectList) -> bytes:
    """Write the list of projects by name; every entry has a serial, without which some mirrors skip it."""
    default = max(projects.last_serial or 1, 1)
    entries = [ListedProject(name, serial or default) for name, serial in sorted(projects.projects.items())]
    return _encoder.encode(_WrittenList(Meta(API_VERSION, default), entries))


def page_versions(page: Page) -> list[str]:
    """PEP 700 `versions`: normalised where possible, each once; first those that the page says, then those of files."""
    said = {text: parse_version(text) for text in (str(parse_version(text) or text) for text in page.versions)}
    releases = {release_and_kind(file.filename, page.name)[0] for file in page.files}
    unsaid = {text: parse_version(text) for text in releases if text and text not in said}
    legacy = sorted(text for text, version in unsaid.items() if version is None)
    known = set(said.values())  # 1.0 and 1.0.0 are one
    valid = sorted((version, text) for text, version in unsaid.items() if version is not None and version not in known)
    return [*said, *legacy, *(text for _, text in valid)]


def _written_file(file: DistFile) -> _WrittenFile:
    written = _WrittenFile(filename=file.filename, hashes=_written_hashes(file), url=file.url)
    if file.yanked is not False:
        written.yanked = file.yanked or True  # An empty reason is read as "not yanked" by some.
    if file.requires_python:
        written.requires_python = file.requires_python
    if file.size is not None:
        written.size = file.size
    if file.upload_time:
        written.upload_time = file.upload_time
    if file.core_metadata is not None:
        claim = file.core_metadata
        written.core_metadata = {"sha256": claim} if isinstance(claim, str) else claim
    if file.gpg_sig is not None:
        written.gpg_sig = file.gpg_sig
    if file.provenance:
        written.provenance = file.provenance
    return written


def _written_hashes(file: DistFile) -> dict[str, str]:
    if file.sha256:
        hashes = {"sha256": file.sha256}
        if file.blake2b_256 and file.blake2b_256[4:] not in file.url:  # else the URL says it already
            hashes["blake2b_256"] = file.blake2b_256
        return hashes
    return dict([file.other_hash]) if file.other_hash and file.other_hash[0] in _CLIENT_HASHES else {}

"""The JSON API from before the Simple API had JSON: one project or one release as the document that tools know.

Nothing here is needed to install anything; mirrors such as bandersnatch, and tools that show projects, read it.
What is not known is null, never invented. Source: PyPI's documentation of its JSON API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from packaging.metadata import parse_email

from pypim.core.filenames import FileKind, parse_filename, parse_version
from pypim.core.model import ProjectStatus
from pypim.core.served import file_path
from pypim.core.simple_json import page_versions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.model import DistFile, Page

Document = dict[str, object]
Releases = dict[str, tuple["DistFile", ...]]

_PACKAGE_TYPES = {
    FileKind.WHEEL: "bdist_wheel",
    FileKind.SDIST: "sdist",
    FileKind.EGG: "bdist_egg",
    FileKind.WININST: "bdist_wininst",
    FileKind.MSI: "bdist_msi",
    FileKind.RPM: "bdist_rpm",
    FileKind.DUMB: "bdist_dumb",
    FileKind.DMG: "bdist_dmg",
}
_NO_VERSION = ""
"""The release of files whose name tells none: the API has had it from the first."""
_PLAIN_FIELDS = (
    "author",
    "author_email",
    "description",
    "description_content_type",
    "download_url",
    "home_page",
    "license",
    "license_expression",
    "maintainer",
    "maintainer_email",
    "requires_python",
    "summary",
)
_LIST_FIELDS = ("dynamic", "license_files", "provides_extra", "requires_dist")


class Addresses(msgspec.Struct, frozen=True):
    """Where the answers of one index lead; absolute, with a slash at the end."""

    index: str
    """Below it are simple/<name>/ and pypi/<name>/<version>/json, where the URLs of a document lead."""
    files: str
    """What the path of each file (packages/…) is joined to."""


def releases_of(page: Page) -> Releases:
    """The files by the version they are of, the oldest first; what is no version of PEP 440 before all that are.

    Versions that are equal (`1.0`, `1.00`) are one release, under the text that the page has, or its first file.
    """
    found: dict[Version | str, tuple[str, list[DistFile]]] = {}
    for text in page_versions(page):
        found.setdefault(_key(text), (text, []))
    for file in page.files:
        parsed = parse_filename(file.filename, page.name)
        text = str(parsed.version or parsed.version_text or _NO_VERSION)
        found.setdefault(_key(text), (text, []))[1].append(file)
    legacy = sorted((key, value) for key, value in found.items() if isinstance(key, str))
    valid = sorted((key, value) for key, value in found.items() if not isinstance(key, str))
    return {text: tuple(files) for _, (text, files) in (*legacy, *valid)}


def _key(text: str) -> Version | str:
    return parse_version(text) or text


def release_named(releases: Releases, text: str) -> str | None:
    """The release that a version means, however it is written; None where there is none."""
    wanted = _key(text)
    return next((version for version in releases if _key(version) == wanted), None)


def newest_release(releases: Releases) -> str | None:
    """What a project is shown by: not yanked before yanked, final before pre-release, then the highest version.

    A release without files comes last, for nobody can say anything about it.
    """

    def rank(text: str) -> tuple[bool, bool, bool, int]:
        files = releases[text]
        version = parse_version(text)
        is_offered = not files or not all(file.is_yanked for file in files)
        return bool(files), is_offered, version is not None and not version.is_prerelease, order[text]

    order = {text: position for position, text in enumerate(releases)}
    return max(releases, key=rank, default=None)


def metadata_holders(files: tuple[DistFile, ...]) -> tuple[DistFile, ...]:
    """The files of a release whose core metadata is beside them, in the order of the page."""
    return tuple(file for file in files if file.core_metadata)


def render_project(page: Page, releases: Releases, newest: str, metadata: bytes | None, to: Addresses) -> bytes:
    """The document of a project; `metadata` is the core metadata of its newest release, where that can be had."""
    document = _document(page, releases, newest, metadata, to)
    document["releases"] = {
        version: [_file(page.name, file, to) for file in files] for version, files in releases.items()
    }
    return msgspec.json.encode(document)


def render_release(page: Page, releases: Releases, version: str, metadata: bytes | None, to: Addresses) -> bytes:
    """The document of one release, which has no `releases` (case 80)."""
    return msgspec.json.encode(_document(page, releases, version, metadata, to))


def _document(page: Page, releases: Releases, version: str, metadata: bytes | None, to: Addresses) -> Document:
    files = releases[version]
    return {
        "info": _info(page, version, files, metadata, to),
        "last_serial": max(page.last_serial or 1, 1),
        "urls": [_file(page.name, file, to) for file in files],
        "vulnerabilities": [],
        "ownership": {"organization": None, "roles": []},
    }


def _info(page: Page, version: str, files: tuple[DistFile, ...], metadata: bytes | None, to: Addresses) -> Document:
    said: Mapping[str, object] = parse_email(metadata)[0] if metadata is not None else {}
    project_url = f"{to.index}simple/{page.name}/"
    keywords = said.get("keywords")
    reasons = [file.yanked for file in files if isinstance(file.yanked, str)]
    document: Document = {
        "name": said.get("name") or page.name,
        "version": version,
        "classifiers": said.get("classifiers") or [],
        "keywords": ",".join(keywords) if isinstance(keywords, list) else None,
        "platform": ",".join(map(str, platforms)) if isinstance(platforms := said.get("platforms"), list) else None,
        "project_urls": said.get("project_urls") or None,
        "package_url": project_url,
        "project_url": project_url,
        "release_url": f"{to.index}pypi/{page.name}/{quote(version)}/json",
        "docs_url": None,
        "bugtrack_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "yanked": bool(files) and all(file.is_yanked for file in files),
        "yanked_reason": reasons[0] if reasons else None,
    }
    document.update((field, said.get(field)) for field in _PLAIN_FIELDS)
    document.update((field, said.get(field) or None) for field in _LIST_FIELDS)
    if document["requires_python"] is None:
        document["requires_python"] = next((file.requires_python for file in files if file.requires_python), None)
    if page.status is not ProjectStatus.ACTIVE:
        document["status"] = {"status": page.status.value, "reason": page.status_reason}
    return document


def _file(project: NormalizedName, file: DistFile, to: Addresses) -> Document:
    parsed = parse_filename(file.filename, project)
    digests = {"blake2b_256": file.blake2b_256, "sha256": file.sha256}
    if file.other_hash:
        digests[file.other_hash[0]] = file.other_hash[1]
    claim = file.core_metadata
    return {
        "filename": file.filename,
        "packagetype": _PACKAGE_TYPES.get(parsed.kind, "bdist_wheel" if parsed.extension == "whl" else "sdist"),
        "python_version": _python_version(parsed.kind, parsed.python_tags),
        "digests": {algorithm: digest for algorithm, digest in digests.items() if digest},
        "md5_digest": digests.get("md5"),
        "core-metadata": {"sha256": claim} if isinstance(claim, str) else bool(claim),
        "size": file.size,
        "upload_time": file.upload_time[:19] if file.upload_time else None,
        "upload_time_iso_8601": file.upload_time,
        "url": to.files + quote(file_path(file)),
        "requires_python": file.requires_python,
        "yanked": file.is_yanked,
        "yanked_reason": file.yanked if isinstance(file.yanked, str) else None,
        "comment_text": None,
        "has_sig": bool(file.gpg_sig),
        "downloads": -1,
    }


def _python_version(kind: FileKind, python_tags: tuple[str, ...]) -> str:
    """As uploads tell it: "source", the tags of a wheel, the number in the name of an older format, or "any"."""
    if kind is FileKind.SDIST:
        return "source"
    if kind is FileKind.WHEEL:
        return ".".join(python_tags)
    return python_tags[0].removeprefix("py") if python_tags else "any"

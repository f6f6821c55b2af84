"""What a proxy shows of an upstream's page: without what the filters deny, and with what is known of the bytes we hold.

A file that is not shown is not served either, for only what the page lists is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from pypim.core.filenames import FileKind, parse_filename
from pypim.core.model import Page, ProjectStatus
from pypim.core.readings import Reading, takes_bound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pypim.core.filenames import ParsedFilename
    from pypim.core.model import DistFile, Holding
    from pypim.core.names import SafeFilename
    from pypim.core.policy import Policy

_WHEEL = ".whl"
_NEWEST = 2
_NO_VERSION = Version("0.dev0")
_EVERY_FORMAT = frozenset(FileKind)


def of_a_proxy(policy: Policy) -> Policy:
    """Filters as a proxy means them: every format passes that was not left out by name."""
    return policy if policy.formats is not None else msgspec.structs.replace(policy, formats=_EVERY_FORMAT)


def is_transparent(policy: Policy) -> bool:
    """Whether no filter can deny any file."""
    takes = policy.exclude or policy.allow or policy.has_file_filters or policy.keep_latest or policy.limits.is_any
    return not takes and policy.formats == _EVERY_FORMAT


def allowed_page(page: Page, policy: Policy, now: datetime) -> Page:
    """The page without the files that the filters deny; without any where the project is denied or quarantined."""
    is_denied = not policy.project_verdict(page.name, is_dependency=False).is_allowed
    if is_denied or any(policy.limits.objections(page)) or page.status is ProjectStatus.QUARANTINED:
        # An empty page and not a missing one: clients must not look for the project elsewhere.
        return Page(name=page.name, status=page.status, status_reason=page.status_reason, last_serial=page.last_serial)
    if is_transparent(policy):
        return page
    parsed = {file.filename: parse_filename(file.filename, page.name) for file in page.files}
    files = [file for file in page.files if policy.file_verdict(page.name, file, parsed[file.filename], now).is_allowed]
    if policy.keep_latest is not None:
        files = _latest(files, parsed, policy.keep_latest)
    if len(files) == len(page.files):
        return page
    shown = {_version(parsed[file.filename]) for file in files}
    hidden = {_version(parsed[file.filename]) for file in page.files} - shown
    versions = tuple(version for version in page.versions if version not in hidden)
    return msgspec.structs.replace(page, files=tuple(files), versions=versions)


def metadata_key(file: DistFile) -> str:
    """Under what the core metadata of a listed file is known: MetadataCache has the same key."""
    return file.sha256 or file.url


def newest_wheels(page: Page, count: int) -> list[DistFile]:
    """At most so many wheels without core metadata, of the two newest final releases (or of any, without those)."""
    wheels = [file for file in page.files if file.filename.endswith(_WHEEL) and not file.core_metadata]
    if not wheels:
        return []
    ranks = {file.filename: _rank(parse_filename(file.filename, page.name)) for file in page.files}
    newest = set(sorted(set(ranks.values()), reverse=True)[:_NEWEST])
    wheels.sort(key=lambda file: ranks[file.filename], reverse=True)
    return [file for file in wheels if ranks[file.filename] in newest][:count]


def _rank(parsed: ParsedFilename) -> tuple[bool, Version]:
    version = parsed.version or _NO_VERSION
    return not version.is_prerelease, version


def known_page(page: Page, held: Mapping[str, Holding], sidecars: Mapping[str, str | None]) -> Page:
    """The page with what is known better than the upstream says it.

    `held` are holdings by identity; `sidecars` what core metadata can be given out, by `metadata_key`. Core metadata
    is offered only where its bytes are there (PEP 658), or where the upstream itself says that they are. A
    Requires-Python that nobody can read is left out.
    """
    files = tuple(_known(file, held, sidecars) for file in page.files)
    if all(new is old for new, old in zip(files, page.files, strict=True)):
        return page
    return msgspec.structs.replace(page, files=files)


def _known(file: DistFile, held: Mapping[str, Holding], sidecars: Mapping[str, str | None]) -> DistFile:
    holding = held.get(file.identity)
    key = metadata_key(file)
    if holding is not None and file.filename.endswith(_WHEEL):
        core_metadata: bool | str | None = holding.metadata_sha256 or False
    elif key in sidecars:
        core_metadata = sidecars[key] or False
    else:
        core_metadata = file.core_metadata
    if core_metadata == (file.core_metadata or False):
        core_metadata = file.core_metadata
    sha256, size = file.sha256, file.size
    if holding is not None:
        sha256, size = sha256 or holding.blob.sha256, holding.blob.size
    bound = file.requires_python
    bound = bound if bound is None or _is_readable(bound) else None
    known = (core_metadata, sha256, size, bound)
    if known == (file.core_metadata, file.sha256, file.size, file.requires_python):
        return file
    other_hash = None if sha256 else file.other_hash
    return msgspec.structs.replace(
        file, core_metadata=core_metadata, sha256=sha256, other_hash=other_hash, size=size, requires_python=bound
    )


@lru_cache(maxsize=4096)
def _is_readable(requires_python: str) -> bool:
    """Whether pip or uv minds a Requires-Python; uv would pass over a file with any other, which pip takes."""
    if takes_bound(requires_python, Reading.UV):
        return True
    try:
        SpecifierSet(requires_python)
    except InvalidSpecifier:
        return False
    return True


def _latest(files: list[DistFile], parsed: Mapping[SafeFilename, ParsedFilename], count: int) -> list[DistFile]:
    versions = {version for file in files if (version := parsed[file.filename].version) is not None}
    latest = set(sorted(versions, reverse=True)[:count])
    return [file for file in files if parsed[file.filename].version in latest]


def _version(parsed: ParsedFilename) -> str | None:
    return parsed.version_text if parsed.version is None else str(parsed.version)

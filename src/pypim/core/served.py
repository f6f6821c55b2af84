"""What the server lists: the entries of a page with URLs of its own, and the way back from such a URL to the entry.

A file's URL ends in packages/aa/bb/<60 hex>/<filename>, the shape that PyPI uses, so that lock files survive a change
of host: the BLAKE2b-256 of the content where that is known, else its SHA-256, else that of the upstream's URL.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import msgspec

from pypim.core.filenames import projects_of
from pypim.core.model import Blob, Holding

if TYPE_CHECKING:
    from pypim.core.model import DistFile, Page

_PLACE = re.compile(r"/([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{60})/[^/]+\Z")


def file_path(file: DistFile) -> str:
    """Where a listed file is served, relative to its index: packages/aa/bb/<60 hex>/<filename>, not yet quoted."""
    digest = file.blake2b_256 or _digest_in(file.url) or file.sha256
    return _path_of(digest or _digest_of(file.url), file)


def file_paths(file: DistFile) -> tuple[str, ...]:
    """Everywhere a listed file is found: also where it was listed before anybody knew a digest of its content."""
    path = file_path(file)
    if file.blake2b_256 or file.sha256 is None or _digest_in(file.url):
        return (path,)
    return path, _path_of(_digest_of(file.url), file)


def _path_of(digest: str, file: DistFile) -> str:
    return f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{file.filename}"


def _digest_of(url: str) -> str:
    return hashlib.sha256(url.encode(errors="surrogatepass")).hexdigest()


def held_entry(file: DistFile, holding: Holding) -> DistFile:
    """The entry of a held file: what the upstream says of it, with what we know of its bytes, at a URL of ours."""
    return msgspec.structs.replace(
        file,
        url="../../" + quote(holding.path),
        sha256=holding.blob.sha256,
        blake2b_256=holding.blob.blake2b_256,
        other_hash=None,
        size=holding.blob.size,
        core_metadata=holding.metadata_sha256 or False,
        gpg_sig=None,
    )


def holding_of(file: DistFile) -> Holding:
    """The holding that a held file's entry describes: the way back from `held_entry`."""
    assert file.sha256 is not None and file.blake2b_256 is not None and file.size is not None, "it is held"  # noqa: PT018
    blob = Blob(sha256=file.sha256, blake2b_256=file.blake2b_256, size=file.size)
    metadata = file.core_metadata if isinstance(file.core_metadata, str) else None
    return Holding(filename=file.filename, blob=blob, metadata_sha256=metadata)


def _digest_in(url: str) -> str | None:
    """The digest that an upstream's own URL has, where it has that shape."""
    found = _PLACE.search(unquote(urlsplit(url).path))
    return "".join(found.groups()) if found else None


def served_page(page: Page, folder: str = "../../") -> Page:
    """The page as it is served: each URL relative, from the page itself up to the index."""
    files = tuple(msgspec.structs.replace(file, url=folder + quote(file_path(file))) for file in page.files)
    return msgspec.structs.replace(page, files=files)


def findable_page(page: Page) -> Page:
    """The page without files whose names do not say that they are of this project.

    The URL of a file has its name and no project, so they could be listed and never served; no installer takes them.
    """
    files = tuple(file for file in page.files if page.name in projects_of(file.filename))
    return page if len(files) == len(page.files) else msgspec.structs.replace(page, files=files)

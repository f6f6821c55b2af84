"""One entry of a project page, as either format wrote it, made a DistFile or a sentence that says why not.

An entry is repaired where only an optional part of it is bad (that part is then "not said"), and dropped where its
name or address is: one bad entry never costs the page. Source: PEP 503, 592, 658, 691, 700, 714, 740.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

import msgspec

from pypim.core.errors import InvalidFilename, UpstreamMalformed
from pypim.core.model import DistFile, ProjectStatus
from pypim.core.names import PLAIN_FILENAME, SafeFilename, parse_safe_filename

CoreMetadataClaim = bool | dict[str, str] | None
"""PEP 714: whether there is a `.metadata` file, or its hashes; None where nothing is said."""


class RawEntry(msgspec.Struct, kw_only=True, gc=False, rename="kebab"):
    """An entry of PEP 691's `files`, with the types the standard gives; the HTML reader fills in the same."""

    filename: str
    url: str
    hashes: dict[str, str] | None = None
    requires_python: str | None = None
    core_metadata: CoreMetadataClaim = None
    dist_info_metadata: CoreMetadataClaim = None
    data_dist_info_metadata: CoreMetadataClaim = None
    gpg_sig: bool | None = None
    yanked: bool | str | None = None
    size: int | None = None
    upload_time: str | None = None
    provenance: str | None = None


_HASH_LENGTHS = {
    "sha512": 128,
    "sha384": 96,
    "sha3_512": 128,
    "sha3_384": 96,
    "sha3_256": 64,
    "blake2b": 128,
    "blake2s": 64,
    "sha224": 56,
    "sha3_224": 56,
    "sha1": 40,
    "md5": 32,
}
"""Algorithms of hashlib besides sha256, best first, with the number of hex digits."""
_SHA256_LENGTH = 64
_RESERVED_SUFFIX = ".metadata"  # PEP 658: the place of a wheel's core metadata, beside the wheel
_RESERVED = f"names that end in {_RESERVED_SUFFIX} belong to core metadata, not to files"
_MAX_SIZE_BYTES = 1 << 50
_MAX_SERIAL = 1 << 62
_MAX_TEXT_CHARS = 65536
_STATUSES = {status.value: status for status in ProjectStatus}
_HEX = re.compile(r"[0-9a-f]+", re.ASCII)
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?/[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*", re.ASCII)
_LOOPBACK_URL = re.compile(r"http://(?:localhost|127(?:\.\d{1,3}){3})(?::\d{1,5})?/", re.ASCII)
_CONTENT_URL = re.compile(
    r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?/(?:[A-Za-z0-9._~-]+/)*?([0-9a-f]{2})/([0-9a-f]{2})/([0-9a-f]{60})/"
    r"[A-Za-z0-9._~!+-]+",
    re.ASCII,
)
"""A plain one whose path is that of the content, as nearly all are; see `_blake2b_of_url`."""
_CONTENT_LENGTH = len("aa/bb/") + 60 + len("/")
_URL_SAFE = "!$&'()*+,;=:@/?%~-._[]"
_FRAGMENT_HASH = re.compile(r"(?:\A|&)([A-Za-z0-9_]+)=([0-9A-Fa-f]+)(?=&|\Z)", re.ASCII)
_UPLOAD_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00:00)", re.ASCII)
_CERTAIN_TIME = re.compile(
    r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:Z|\+00:00)"
)
"""One that there is in every month of every year."""
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_API_VERSION = re.compile(r"\s*(\d+)(?:\.\d+)?\s*", re.ASCII)
_SUPPORTED_MAJOR = 1


class EntryReader:
    """Collects the entries of one page: `files` are those that can be used, `dropped` says why the others cannot."""

    def __init__(self, page_url: str, base_url: str | None = None) -> None:
        self._page_url = page_url
        self._base_url = base_url or page_url
        self._files: dict[str, DistFile] = {}
        self._dropped: list[str] = []
        self._place: str | None = None

    @property
    def files(self) -> tuple[DistFile, ...]:
        """In the order of the page."""
        return tuple(self._files.values())

    @property
    def dropped(self) -> tuple[str, ...]:
        """One sentence for each entry that could not be used."""
        return tuple(self._dropped)

    def add(self, entry: RawEntry) -> None:
        """Read one entry; of several with one file name the first counts."""
        blake2b_256, url, fragment = None, entry.url, ""
        try:
            if PLAIN_FILENAME.fullmatch(entry.filename):
                filename = SafeFilename(entry.filename)
                blake2b_256 = self._digest_of(url, filename)
            else:
                filename = parse_safe_filename(entry.filename)
            if blake2b_256 is None:
                url, fragment, blake2b_256 = self._resolve(url)
        except InvalidFilename as error:
            self.drop(error.message)
            return
        except ValueError as error:
            self.drop(f"{entry.filename[:200]}: {error}")
            return
        if filename.endswith(_RESERVED_SUFFIX):
            self.drop(InvalidFilename(filename, _RESERVED).message)
        elif filename in self._files:
            self.drop(f"{filename}: is listed more than once; the first entry is used")
        else:
            self._files[filename] = _dist_file(entry, filename, url, fragment, blake2b_256)

    def _digest_of(self, url: str, filename: SafeFilename) -> str | None:
        """The digest in an address that differs from one before only in what it tells of content and name of the file.

        That is true of nearly all of a page, so that nothing else of them is read again. None: it must be resolved.
        """
        place = self._place
        if place is None or not url.startswith(place):
            return None
        start, end = len(place), len(place) + _CONTENT_LENGTH
        path = url[start:end]
        if url[end:] != filename or not path[2] == path[5] == path[-1] == "/":
            return None
        return _digest_text(path.replace("/", ""))

    def _resolve(self, url: str) -> tuple[str, str, str | None]:
        """(absolute URL, fragment, digest that its path tells); raises ValueError where no file may be read from there.

        Characters that no URL may contain are percent-encoded. A page from the network cannot point into `file:`.
        """
        address, _, fragment = url.partition("#")
        if match := _CONTENT_URL.fullmatch(address):
            self._place = address[: match.start(1)]
            return address, fragment, match[1] + match[2] + match[3]
        if _PLAIN_URL.fullmatch(address):
            return address, fragment, _blake2b_of_url(address)
        if not address.strip():
            raise ValueError("it has no address")
        absolute = urlsplit(urljoin(self._base_url, _UNPRINTABLE.sub("", address).strip()))
        if absolute.scheme not in {"http", "https", "file"}:
            raise ValueError(f"its address has the scheme {absolute.scheme[:40]!r}, which no file is read from")
        if absolute.scheme == "file" and not self._page_url.startswith("file:"):
            raise ValueError("its address is a file of this machine, which a page from the network may not name")
        if absolute.scheme != "file" and (not absolute.hostname or absolute.port == 0):
            raise ValueError("its address names no host")
        path, query = quote(absolute.path, safe=_URL_SAFE), quote(absolute.query, safe=_URL_SAFE)
        address = urlunsplit((absolute.scheme, absolute.netloc, path, query, ""))
        return address, fragment, _blake2b_of_url(address)

    def drop(self, sentence: str) -> None:
        """Note an entry that could not even be made a RawEntry."""
        self._dropped.append(_UNPRINTABLE.sub("", sentence))


def check_api_version(text: str | None, page_url: str) -> None:
    """PEP 629: a greater major version must not be read; a missing one is 1.0, a greater minor one is read as ours."""
    if text is None:
        return
    match = _API_VERSION.fullmatch(text)
    if match is None or int(match[1][:9]) != _SUPPORTED_MAJOR:
        raise UpstreamMalformed(
            page_url,
            f"its API version is {text[:40]!r}, and pypim reads version 1",
            hint="Check that the URL is that of a Simple API; a newer pypim may be able to read it.",
        )


def parse_status(status: object, reason: object) -> tuple[ProjectStatus, str | None]:
    """PEP 792: lower-case exact; anything unknown is active."""
    known = _STATUSES.get(status) if isinstance(status, str) else None
    return known or ProjectStatus.ACTIVE, optional_text(reason)


def optional_text(value: object) -> str | None:
    """A text without what no page can carry in both formats; None where it is none, or is empty."""
    if not isinstance(value, str) or len(value) > _MAX_TEXT_CHARS:
        return None
    if not value.isprintable():
        value = _UNPRINTABLE.sub("", value)
    return value if value and not value.isspace() else None


@lru_cache(maxsize=4096)
def _specifier(text: str) -> str | None:
    """Of very many files there are few different ones."""
    return optional_text(text)


def serial_of(value: object) -> int | None:
    """A serial is a whole number from 0 on; anything else is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < _MAX_SERIAL else None


def _dist_file(entry: RawEntry, filename: SafeFilename, url: str, fragment: str, blake2b_256: str | None) -> DistFile:
    """Millions are made in a row, so what most entries do not say is not looked into."""
    listed, other_hash = entry.hashes, None
    sha256 = None if fragment or listed is None or len(listed) != 1 else _digest_text(listed.get("sha256", ""))
    if sha256 is None:
        hashes = _hashes(listed or {}, fragment)
        sha256, blake2b_256 = hashes.get("sha256"), hashes.get("blake2b_256") or blake2b_256
        other_hash = None if sha256 else _best_other_hash(hashes)
    size, yanked, requires_python = entry.size, entry.yanked, entry.requires_python
    return DistFile(
        filename=filename,
        url=url,
        sha256=sha256,
        blake2b_256=blake2b_256,
        other_hash=other_hash,
        size=size if size is not None and 0 <= size <= _MAX_SIZE_BYTES else None,
        upload_time=None if entry.upload_time is None else _upload_time(entry.upload_time),
        requires_python=None if requires_python is None else _specifier(requires_python),
        yanked=False if yanked is None or yanked is False else _yanked(yanked),
        core_metadata=_core_metadata(entry),
        gpg_sig=entry.gpg_sig,
        provenance=None if entry.provenance is None else _provenance(entry.provenance),
    )


def _yanked(claim: bool | str) -> bool | str:  # noqa: FBT001 - the type of the standard
    """PEP 592, 691: an empty reason still means yanked, as it does in HTML."""
    return optional_text(claim) or True if isinstance(claim, str) else claim


def _digest_text(text: str) -> str | None:
    """The text, if it is 256 bits as 64 lower-case hex digits. Quicker than a regular expression."""
    try:
        return text if len(text) == _SHA256_LENGTH and bytes.fromhex(text).hex() == text else None
    except ValueError:
        return None


def _hashes(listed: dict[str, str], fragment: str) -> dict[str, str]:
    """Well-formed hashes in lower case; one in the URL's fragment (PEP 503) counts where none is listed beside it."""
    found = {}
    pairs = [*_FRAGMENT_HASH.findall(fragment), *listed.items()] if fragment else listed.items()
    for name, digest in pairs:
        algorithm, value = name.lower().replace("-", "_"), digest.lower()
        expected = _HASH_LENGTHS.get(algorithm, _SHA256_LENGTH if algorithm in {"sha256", "blake2b_256"} else 0)
        if len(value) == expected and _HEX.fullmatch(value):
            found[algorithm] = value
    return found


def _best_other_hash(hashes: dict[str, str]) -> tuple[str, str] | None:
    for algorithm in _HASH_LENGTHS:
        if algorithm in hashes:
            return algorithm, hashes[algorithm]
    return None


def _blake2b_of_url(url: str) -> str | None:
    """The digest in a path of the shape aa/bb/<60 hex>/filename, which is that of the content."""
    parts = url.rsplit("/", 4)
    if len(parts) == 5 and (len(parts[1]), len(parts[2]), len(parts[3])) == (2, 2, 60):  # noqa: PLR2004 - the shape
        digest = parts[1] + parts[2] + parts[3]
        return digest if _HEX.fullmatch(digest) else None
    return None


def _upload_time(text: str) -> str | None:
    if _CERTAIN_TIME.fullmatch(text):
        return text
    if not _UPLOAD_TIME.fullmatch(text):
        return None
    try:
        datetime.fromisoformat(text)
    except ValueError:  # the 30th of February
        return None
    return text


def _core_metadata(entry: RawEntry) -> bool | str | None:
    """PEP 714: the new key is preferred to the old ones, whatever it says; without any hash a table says nothing."""
    claim = entry.core_metadata
    if claim is None:
        claim = entry.data_dist_info_metadata if entry.dist_info_metadata is None else entry.dist_info_metadata
    if claim is None or claim is True or claim is False:
        return claim
    if found := _digest_text(claim.get("sha256", "")):
        return found
    hashes = _hashes(claim, "")
    return hashes.get("sha256", True) if hashes else None


def _provenance(text: str) -> str | None:
    """PEP 740: an absolute URL of a secure origin, or of this machine."""
    is_there = _PLAIN_URL.fullmatch(text) and (text.startswith("https:") or _LOOPBACK_URL.match(text))
    return text if is_there else None

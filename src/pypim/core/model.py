"""The nouns of the Simple repository API as immutable values, each field with the rule that governs it.

Unknown is not false: a field is None where the index did not say.
Source: PyPA specification "Simple repository API" (PEP 503, 592, 629, 658, 691, 700, 714, 740, 792).
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from packaging.utils import NormalizedName

from pypim.core.names import SafeFilename


class ProjectStatus(StrEnum):
    """PEP 792: lower-case exact; unknown or absent means active."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    QUARANTINED = "quarantined"
    DEPRECATED = "deprecated"


class DistFile(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One distribution file as a project page lists it."""

    filename: SafeFilename
    """PEP 691 `filename`; safe as one part of a path."""
    url: str
    """Absolute, without fragment (PEP 503: relative links are resolved against the final URL of the page)."""
    sha256: str | None = None
    """64 lower-case hex digits, where the index lists them."""
    blake2b_256: str | None = None
    """64 lower-case hex digits, where the index lists them or the URL has PyPI's shape aa/bb/<60 hex>."""
    other_hash: tuple[str, str] | None = None
    """(algorithm, hex) where there is no sha256: the best that hashlib can check (sha512, sha384, md5 …)."""
    size: int | None = None
    """PEP 700 `size`, in bytes."""
    upload_time: str | None = None
    """PEP 700 `upload-time` exactly as the index wrote it, checked to be an ISO 8601 UTC time."""
    requires_python: str | None = None
    """PEP 503 `data-requires-python`, unescaped; may be garbage, which means no constraint."""
    yanked: bool | str = False
    """PEP 592: False, True (no reason given) or the non-empty reason."""
    core_metadata: bool | str | None = None
    """PEP 658/714: None not said, False there is none, True there is, or its sha256 as 64 hex digits."""
    gpg_sig: bool | None = None
    """PEP 503 `data-gpg-sig`."""
    provenance: str | None = None
    """PEP 740: absolute URL of the provenance object."""
    allowed_hashes: tuple[str, ...] = ()
    """No word of the index: "algorithm:hex" of the only bytes that requirements allow, where the page settles nothing.

    Sorted; empty where any bytes will do.
    """

    @property
    def identity(self) -> str:
        """What makes it one file: its name and sha256, else its name and another hash, else its name and URL."""
        other = ":".join(self.other_hash) if self.other_hash else self.url
        return f"{self.filename}#{self.sha256 or other}"

    @property
    def is_yanked(self) -> bool:
        """Whether the file is yanked, with or without a reason (PEP 592)."""
        return self.yanked is not False


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a project says of itself, as its newest release has it."""

    classifiers: tuple[str, ...] = ()
    licenses: tuple[str, ...] = ()
    """Its SPDX expression (PEP 639), and the text of the older field."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A project's listing as a value (PEP 691 project detail)."""

    name: NormalizedName
    files: tuple[DistFile, ...] = ()
    """In the order of the index."""
    status: ProjectStatus = ProjectStatus.ACTIVE
    status_reason: str | None = None
    versions: tuple[str, ...] = ()
    """PEP 700 `versions`; may list releases without files; empty where the index does not say."""
    last_serial: int | None = None
    dropped: tuple[str, ...] = ()
    """One sentence for every entry that could not be used: nothing is left out in silence."""
    about: About | None = None
    """None where the index does not say, or nobody has asked."""


class ProjectList(msgspec.Struct, frozen=True, kw_only=True):
    """Every project of an index (PEP 691 project list): normalised name → serial, None where not given."""

    projects: dict[NormalizedName, int | None]
    last_serial: int | None = None
    dropped: tuple[str, ...] = ()


class MetadataSource(StrEnum):
    """The way on which core metadata was learned, cheapest first."""

    ADVERTISED = "advertised"  # `.metadata` beside the file, announced by the page (PEP 658/714)
    SIDECAR = "sidecar"  # the same, found without an announcement
    RANGES = "ranges"  # ranged reads of the wheel
    WHEEL = "wheel"  # the whole wheel
    PKG_INFO = "pkg-info"  # an sdist's PKG-INFO; a lower bound where PEP 643 does not let it be trusted
    PYPROJECT = "pyproject"  # an sdist's static pyproject.toml
    EGG_INFO = "egg-info"  # an sdist's requires.txt: a lower bound only
    NONE = "none"  # an sdist that says nothing without being built


class CoreMetadata(msgspec.Struct, frozen=True, kw_only=True):
    """What resolution needs of a file's core metadata. Everything else stays in the bytes."""

    name: str | None
    version: str | None
    requires_dist: tuple[str, ...] = ()
    """Requirement strings (PEP 508), as written after lenient repair; unreadable ones are in `faults`."""
    requires_python: str | None = None
    provides_extra: tuple[str, ...] = ()
    build_requires: tuple[str, ...] = ()
    """For an sdist, what must be installed to build it (PEP 518), repaired likewise; empty for everything else."""
    source: MetadataSource
    is_lower_bound: bool = False
    """True where more requirements may appear once the sdist is built."""
    has_repaired_requirements: bool = False
    """Whether some requirement is not valid and was repaired; pip passes over such a release."""
    has_unreadable_requirements: bool = False
    """Whether some requirement, or its marker, cannot be read by anybody; pip and uv pass over such a release."""
    has_requirements_for_pip_alone: bool = False
    """Whether some requirement is valid and yet cannot be read by uv, which passes over such a release."""
    faults: tuple[str, ...] = ()
    """One sentence for every line that could not be read or had to be repaired."""


class Blob(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Bytes under their digests. Size in bytes, digests in lower-case hex (BLAKE2b with a 32-byte digest)."""

    sha256: str
    blake2b_256: str
    size: int


class Holding(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A distribution file whose bytes we have, checked and durable."""

    filename: SafeFilename
    blob: Blob
    metadata_sha256: str | None = None
    """Digest of the `.metadata` file beside it; None for anything but a readable wheel."""

    @property
    def path(self) -> str:
        """Where its bytes are, relative to the folder that holds `packages/` (product rule: the shape PyPI uses)."""
        digest = self.blob.blake2b_256
        return f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"

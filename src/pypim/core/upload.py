"""Whether an upload is taken: form, archive and what the index has, to acceptance or every rejection at once.

Source: PyPA specification "Upload API" (the legacy form of distutils), as PyPI and its clients use it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from pypim.core.errors import InvalidFilename, InvalidName, PypimError
from pypim.core.filenames import FileKind, parse_filename, parse_version
from pypim.core.hosted import HostedFile, Standing
from pypim.core.model import ProjectStatus
from pypim.core.names import SafeFilename, parse_name, parse_safe_filename
from pypim.core.patterns import TagPatterns
from pypim.core.upload_archive import EGG
from pypim.core.upload_errors import ActionGone, FileExistsDiffers, InvalidUpload, UploadRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.filenames import ParsedFilename
    from pypim.core.upload_archive import ArchiveFacts
    from pypim.core.upload_metadata import Declared

FIELDS = frozenset(
    (
        ":action",
        "protocol_version",
        "name",
        "version",
        "filetype",
        "pyversion",
        "md5_digest",
        "sha256_digest",
        "blake2_256_digest",
        "attestations",
    )
)
"""Of the form: the only ones that are looked at. The file itself says everything else, and better."""
_ACTION = "file_upload"
_DIGESTS = {"md5_digest": 32, "sha256_digest": 64, "blake2_256_digest": 64}
_HEX = re.compile(r"[0-9a-fA-F]+", re.ASCII)
_MOST_SHOWN_CHARS = 200
_KIND_OF_FILETYPE = {"sdist": FileKind.SDIST, "bdist_wheel": FileKind.WHEEL}


class UploadForm(msgspec.Struct, frozen=True, kw_only=True):
    """What the form says of the file beside it; None where it does not say."""

    filename: str
    """As the client wrote it: nothing about it is checked yet."""
    name: str | None = None
    version: str | None = None
    filetype: str | None = None
    pyversion: str | None = None
    digests: Mapping[str, str] = {}
    """Of those fields that were given: md5_digest, sha256_digest, blake2_256_digest → hex digits."""
    attestations: str | None = None
    """As it came (PEP 740): whatever it is, it is no reason to refuse the file."""
    takes_eggs: bool = False
    """Whether an egg may come this way: no client of today sends any, pypicache's paths are used for them."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about the bytes that came. Size in bytes."""

    size: int
    digests: Mapping[str, str]
    """As in the form; sha256 and blake2 always."""
    archive: ArchiveFacts


class UploadPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What one index takes. Sizes in bytes; None: no limit."""

    replaces_development: bool = False
    """Whether a file of a development release (PEP 440 `.dev`) may be replaced by other bytes."""
    max_file_size: int | None = None
    max_project_size: int | None = None
    takes_local_versions: bool = True
    platform_tags: TagPatterns = TagPatterns()
    """One of which each platform tag of a wheel must match, "any" like the others; none at all: every tag."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The file may be kept and listed."""

    project: NormalizedName
    version: str
    """Normalised; as the release is called already where it has files: 1.0 and 1.0.0 are one."""
    filename: SafeFilename
    requires_python: str | None
    metadata: bytes
    """METADATA or PKG-INFO."""
    is_wheel: bool
    yanked: bool | str = False
    """As the files of the release are that are listed already: a yank is of all of it."""
    replaces: HostedFile | None = None
    """What had this name until now, of a development release."""


class AlreadyHeld(msgspec.Struct, frozen=True):
    """The very same file is listed: the client tries again what has worked."""

    file: HostedFile


class Rejected(msgspec.Struct, frozen=True):
    """The upload is not taken; the error says all that is wrong."""

    error: PypimError


def refuse_old_actions(fields: Sequence[tuple[str, str]]) -> None:
    """Raises ActionGone for a form that is no upload; most of those have no file."""
    action = next((value.strip() for key, value in fields if key == ":action"), "")
    if action and action != _ACTION:
        raise ActionGone(action[:40])


def read_form(fields: Sequence[tuple[str, str]], filename: str) -> UploadForm:
    """The form of an upload. Raises ActionGone or InvalidUpload."""
    refuse_old_actions(fields)
    values: dict[str, str] = {}
    for key, value in fields:
        values.setdefault(key, value.strip())
    issues = list(_form_issues(fields, values))
    if issues:
        raise InvalidUpload(_shown(filename), issues)
    said = {key: value for key, value in values.items() if value and value != "UNKNOWN"}
    return UploadForm(
        filename=filename,
        name=said.get("name"),
        version=said.get("version"),
        filetype=said.get("filetype"),
        pyversion=said.get("pyversion"),
        digests={key: said[key].lower() for key in _DIGESTS if key in said},
        attestations=said.get("attestations"),
    )


def _form_issues(fields: Sequence[tuple[str, str]], values: Mapping[str, str]) -> Iterator[str]:
    if not values.get(":action"):
        yield "the form has no :action"
    if values.get("protocol_version", "1") not in {"", "1"}:
        yield f"protocol_version is {values['protocol_version'][:20]!r}, only 1 is known"
    given = [key for key, _ in fields]
    for key in sorted(FIELDS.intersection(given)):
        if given.count(key) > 1:
            yield f"the form has {key} more than once"
    for key, digits in _DIGESTS.items():
        value = values.get(key, "")
        if value and not (len(value) == digits and _HEX.fullmatch(value)):
            yield f"{key} has not {digits} hex digits"


def decide(
    form: UploadForm, received: Received, standing: Standing, policy: UploadPolicy, *, may_create: bool
) -> Accepted | AlreadyHeld | Rejected:
    """The decision. `standing` is that of the project which `named_project` tells."""
    try:
        filename = parse_safe_filename(form.filename)
    except InvalidFilename as error:
        return Rejected(InvalidUpload(_shown(form.filename), [error.reason]))
    declared = received.archive.declared
    issues = [*_digest_issues(form, received), *_archive_faults(received.archive, filename)]
    project = declared.name if declared else named_project(form)
    if project is not None and (refusal := _refusal(project, standing, may_create=may_create)):
        return Rejected(refusal)
    if declared is None:
        return Rejected(InvalidUpload(filename, issues))
    issues += _file_issues(form, declared, filename)
    same = standing.same_name
    if same is not None and same.sha256 == received.digests["sha256_digest"] and not issues:
        return AlreadyHeld(same)
    issues += _archive_issues(declared, received.archive, filename)
    issues += _policy_issues(declared.version, filename, received.size, standing, policy)
    is_replaceable = policy.replaces_development and declared.version.is_devrelease
    if not is_replaceable:
        issues += _deleted_issues(declared, filename, standing)
    if issues:
        return Rejected(InvalidUpload(filename, issues))
    taken = _taken(declared, filename, standing, is_replaceable=is_replaceable)
    if taken is not None:
        return Rejected(FileExistsDiffers(taken.filename, taken.blake2b_256))
    return _accepted(declared, filename, received, standing)


def _taken(declared: Declared, filename: str, standing: Standing, *, is_replaceable: bool) -> HostedFile | None:
    """The listed file whose place it would take: only one of the very same name may be replaced."""
    same = standing.same_name
    if same is not None:
        return None if is_replaceable and same.project == declared.name else same
    return next((file for file in standing.files if _is_one(declared, file.filename, filename)), None)


def _deleted_issues(declared: Declared, filename: str, standing: Standing) -> Iterator[str]:
    deleted = next((name for name in standing.deleted if _is_one(declared, name, filename)), None)
    if standing.is_deleted or deleted == filename:
        yield "a file of this name was deleted, and its name is not used again"
    elif deleted is not None:
        yield f"{deleted!r} was deleted, which is the same but for its spelling, and its name is not used again"


def _is_one(declared: Declared, name: str, filename: str) -> bool:
    """Whether installers take both names for one file: of one release, as wheels with one build and the same tags.

    Nothing but the spelling of the project, of an equal version or of the tags is between them.
    """
    return _spelled_alike(parse_filename(name, declared.name)) == _spelled_alike(
        parse_filename(filename, declared.name)
    )


def _spelled_alike(parsed: ParsedFilename) -> tuple[object, ...]:
    tag_text = parsed.tag_text.lower() if parsed.tags is None else ""
    return parsed.kind, parsed.version, parsed.build, parsed.tags, tag_text


def _accepted(declared: Declared, filename: SafeFilename, received: Received, standing: Standing) -> Accepted:
    version = release_name(standing.files, declared.version)
    return Accepted(
        project=declared.name,
        version=version,
        filename=filename,
        requires_python=declared.requires_python,
        metadata=received.archive.metadata or b"",
        is_wheel=filename.endswith(".whl"),
        yanked=next((file.yanked for file in standing.files if file.version == version), False),
        replaces=standing.same_name,
    )


def release_name(files: Sequence[HostedFile], version: Version) -> str:
    """How the listed files write a version; the normal form where none is of it."""
    return next((file.version for file in files if parse_version(file.version) == version), str(version))


def _shown(filename: str) -> str:
    """A name that nobody has checked, in a message."""
    return (
        filename
        if filename.isprintable() and len(filename) <= _MOST_SHOWN_CHARS
        else ascii(filename[:_MOST_SHOWN_CHARS])
    )


def named_project(form: UploadForm, archive: ArchiveFacts | None = None) -> NormalizedName | None:
    """The project that an upload is for: as the file's own metadata says, else as the form does."""
    if archive is not None and archive.declared is not None:
        return archive.declared.name
    try:
        return parse_name(form.name or "")
    except InvalidName:
        return None


def _refusal(project: NormalizedName, standing: Standing, *, may_create: bool) -> UploadRefused | None:
    """PEP 792: archived and quarantined projects MUST NOT accept uploads."""
    if standing.project is None:
        return None if may_create else UploadRefused(project, "there is no such project, and you may not make one")
    status, reason = standing.project.status, standing.project.status_reason
    if status not in {ProjectStatus.ARCHIVED, ProjectStatus.QUARANTINED}:
        return None
    return UploadRefused(project, f"the project is {status} and takes no uploads" + (f": {reason}" if reason else ""))


def _archive_faults(archive: ArchiveFacts, filename: str) -> Sequence[str]:
    """What is wrong with the file itself; never nothing where it does not say what it is."""
    where = "METADATA" if filename.endswith(".whl") else "PKG-INFO"
    return archive.faults or ([] if archive.declared is not None else [f"it has no {where}"])


def _digest_issues(form: UploadForm, received: Received) -> Iterator[str]:
    for key, digest in form.digests.items():
        if received.digests.get(key) != digest:
            yield f"{key} is {digest}, the bytes that came have {received.digests.get(key)}"


def _file_issues(form: UploadForm, declared: Declared, filename: str) -> Iterator[str]:
    """Form, file name and metadata must say the same."""
    if form.name is not None and named_project(form) != declared.name:
        yield f"the form says the name {form.name[:200]!r}, the file {declared.name!r}"
    if form.version is not None and parse_version(form.version) != declared.version:
        yield f"the form says the version {form.version[:200]!r}, the file {str(declared.version)!r}"
    parsed = parse_filename(filename, declared.name)
    if parsed.kind not in {FileKind.WHEEL, FileKind.SDIST} and not (parsed.kind is FileKind.EGG and form.takes_eggs):
        yield f"the file name is none of a wheel or sdist of {declared.name}"
        return
    if parsed.version != declared.version:
        yield f"the file name says the version {parsed.version_text!r}, the file {str(declared.version)!r}"
    if form.filetype is not None and _KIND_OF_FILETYPE.get(form.filetype) is not parsed.kind:
        yield f"the form says the filetype {form.filetype[:40]!r}, which the file is not"
    if parsed.kind is FileKind.WHEEL:
        yield from _wheel_name_issues(filename)
    elif parsed.kind is FileKind.SDIST:
        yield from _sdist_issues(form, parsed.extension)


def _sdist_issues(form: UploadForm, extension: str) -> Iterator[str]:
    if extension != "tar.gz":
        yield "an sdist is a .tar.gz file (PEP 625)"
    if form.pyversion not in {None, "source"}:
        yield "the pyversion of an sdist is source"


def _wheel_name_issues(filename: str) -> Iterator[str]:
    """What we read leniently must also be a name that pip reads."""
    try:
        parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        yield str(error)


def _archive_issues(declared: Declared, archive: ArchiveFacts, filename: str) -> Iterator[str]:
    """PEP 639: the files that License-File names must be there."""
    infos = {path.partition("/")[0] for path in archive.paths if path.partition("/")[0].endswith(".dist-info")}
    folders = [f"{info}/licenses/" for info in infos] if filename.endswith(".whl") else [""]
    for path in declared.license_files:
        if not any(folder + path in archive.paths for folder in folders):
            yield f"License-File {path[:200]!r} is not in it"


def _policy_issues(
    version: Version, filename: str, size: int, standing: Standing, policy: UploadPolicy
) -> Iterator[str]:
    if version.local is not None and not policy.takes_local_versions:
        yield f"the version {version} is a local one, which this index does not take"
    if policy.max_file_size is not None and size > policy.max_file_size:
        yield f"it has {size:,} bytes, and this index takes {policy.max_file_size:,}"
    total = size + sum(file.size for file in standing.files if file.filename != filename)
    if policy.max_project_size is not None and total > policy.max_project_size:
        yield f"with it the project would have {total:,} bytes, and this index takes {policy.max_project_size:,}"
    if filename.endswith(".whl"):
        yield from _tag_issues(filename[:-4].rpartition("-")[2].split("."), policy.platform_tags)
    elif filename.endswith(EGG):
        return
    elif sdist := next(_other_sdists(version, filename, standing.files), None):
        yield f"the release has the sdist {sdist!r} already"


def _tag_issues(tags: Iterable[str], allowed: TagPatterns) -> Iterator[str]:
    for tag in tags:
        if allowed and allowed.first_match((tag,)) is None:
            yield f"this index takes no wheels for the platform {tag!r}"


def _other_sdists(version: Version, filename: str, files: Iterable[HostedFile]) -> Iterator[str]:
    for file in files:
        if (
            not file.filename.endswith((".whl", EGG))
            and file.filename != filename
            and parse_version(file.version) == version
        ):
            yield file.filename

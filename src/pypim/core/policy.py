"""The policy of an index: its filters, compiled, and what they say of a project, a release or a file.

A filter only ever takes away. Every verdict names the rule it comes from, as the configuration writes it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import msgspec

from pypim.core.errors import InvalidConfig, InvalidRequirement
from pypim.core.filenames import FileKind
from pypim.core.measures import parse_duration, parse_size
from pypim.core.model import ProjectStatus
from pypim.core.patterns import ProjectPatterns, TagPatterns, compile_pattern, parse_project_pattern
from pypim.core.project_limits import STATUSES, ProjectLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from pypim.core.filenames import ParsedFilename
    from pypim.core.model import DistFile

__all__ = [
    "ALLOWED",
    "Filters",
    "Policy",
    "Verdict",
    "compile_pattern",
    "filter_faults",
    "parse_duration",
    "parse_size",
]

_FORMATS = tuple(kind.value for kind in FileKind if kind is not FileKind.UNKNOWN)
_DEFAULT_FORMATS = frozenset((FileKind.WHEEL, FileKind.SDIST))


def _told(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


class Filters(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What is kept out of an index. A filter only ever takes away."""

    exclude: Annotated[
        tuple[str, ...], _told('Names, globs and requirements that are kept out: "tensorflow*", "torch>=3".')
    ] = ()
    exclude_dependents: Annotated[
        bool,
        _told(
            "What depends on something that filters keep out is kept out with it, as a whole project, asked for or not."
        ),
    ] = False
    allow: Annotated[
        tuple[str, ...], _told("When given, only these names, globs and requirements, and what they need.")
    ] = ()
    formats: Annotated[
        tuple[str, ...] | None,
        _told(
            "Kinds of file: wheel sdist egg wininst msi rpm dumb dmg deb. When left out: wheels, and an sdist where a "
            "target has no wheel."
        ),
    ] = None
    extensions: Annotated[
        tuple[str, ...], _told("When given, only files with these extensions: whl tar.gz zip tar.bz2 tgz egg exe …")
    ] = ()
    python_tags: Annotated[
        tuple[str, ...], _told('When given, only wheels and eggs with one of these Python tags: "py3", "cp312".')
    ] = ()
    exclude_tags: Annotated[
        tuple[str, ...], _told('Globs on the part of the file name after name and version: "musllinux_*".')
    ] = ()
    keep_latest: Annotated[
        int | None,
        _told(
            "A mirror holds for each target at most so many releases of a rule that takes every match; what something "
            "requires is not capped. A proxy shows at most so many of each project."
        ),
    ] = None
    prereleases: Annotated[bool, _told("Let pre-releases count like final ones.")] = False
    max_file_size: Annotated[
        str | int | None,
        _told('Keep out larger files: "1 GB", "500 MiB", or bytes. A file whose page says no size is asked for it.'),
    ] = None
    min_age: Annotated[str | None, _told('Keep out files uploaded later than so long ago: "3 days", "P7D".')] = None
    max_project_size: Annotated[
        str | int | None,
        _told('Keep out projects whose files are larger together, as far as the index says their sizes: "10 GB".'),
    ] = None
    max_releases: Annotated[int | None, _told("Keep out projects with more releases than that.")] = None
    exclude_statuses: Annotated[
        tuple[str, ...], _told(f"Keep out projects with one of these statuses (PEP 792): {', '.join(STATUSES)}.")
    ] = ()
    exclude_classifiers: Annotated[
        tuple[str, ...],
        _told('Keep out projects with a classifier that matches one of these globs: "Development Status :: 1 *".'),
    ] = ()
    exclude_licenses: Annotated[
        tuple[str, ...],
        _told('Keep out projects with a licence expression, text or classifier that matches one of these: "AGPL*".'),
    ] = ()


class Verdict(msgspec.Struct, frozen=True):
    """Allow or deny, and why."""

    is_allowed: bool
    reason: str = ""
    """A sentence that names the rule; empty for a yes that no rule speaks of."""


ALLOWED = Verdict(is_allowed=True)


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Filters that are ready to judge. Make it with `Policy.compile`."""

    exclude: ProjectPatterns
    allow: ProjectPatterns
    excludes_dependents: bool = False
    """Whether what depends on something excluded goes with it."""
    formats: frozenset[FileKind] | None = None
    extensions: frozenset[str] = frozenset()
    python_tags: TagPatterns = TagPatterns()
    exclude_tags: TagPatterns = TagPatterns()
    keep_latest: int | None = None
    """At most so many releases, see `Filters`."""
    prereleases: bool = False
    max_file_size_bytes: int | None = None
    min_age: timedelta = timedelta()
    limits: ProjectLimits = ProjectLimits()
    has_file_filters: bool = True
    """False where files are judged by their format alone, which is most often so: pages list very many."""

    @classmethod
    def compile(cls, filters: Filters, where: str) -> Policy:
        """Check the filters and make them ready; `where` is their place ("indexes.main.filters").

        Raises InvalidConfig with every fault at once.
        """
        faults = filter_faults(filters, where)
        if faults:
            raise InvalidConfig(where, [(None, sentence) for _, sentence in faults])
        return cls(
            exclude=ProjectPatterns.compile(filters.exclude, where),
            allow=ProjectPatterns.compile(filters.allow, where),
            excludes_dependents=filters.exclude_dependents,
            formats=None if filters.formats is None else frozenset(FileKind(text.lower()) for text in filters.formats),
            extensions=frozenset(text.lower().lstrip(".") for text in filters.extensions),
            python_tags=TagPatterns.compile(filters.python_tags),
            exclude_tags=TagPatterns.compile(filters.exclude_tags),
            keep_latest=filters.keep_latest,
            prereleases=filters.prereleases,
            max_file_size_bytes=None if filters.max_file_size is None else parse_size(filters.max_file_size),
            min_age=timedelta() if filters.min_age is None else parse_duration(filters.min_age),
            limits=ProjectLimits(
                max_size_bytes=None if filters.max_project_size is None else parse_size(filters.max_project_size),
                max_releases=filters.max_releases,
                statuses=frozenset(map(ProjectStatus, filters.exclude_statuses)),
                classifiers=filters.exclude_classifiers,
                licenses=filters.exclude_licenses,
            ),
            has_file_filters=bool(
                filters.extensions
                or filters.python_tags
                or filters.exclude_tags
                or filters.max_file_size is not None
                or filters.min_age is not None
            ),
        )

    @property
    def keeps_sdists(self) -> bool:
        """Whether sdists were asked for by name, and are kept even where every target has a wheel."""
        return self.formats is not None and FileKind.SDIST in self.formats

    def project_verdict(self, name: NormalizedName, *, is_dependency: bool) -> Verdict:
        """Whether anything of a project may be chosen. The allow-list speaks of roots only: what they need passes."""
        if not (self.exclude or self.allow):
            return ALLOWED
        for pattern in self.exclude.about(name):
            if pattern.specifier is None:
                return _denied("exclude", pattern.text)
        if self.allow and not is_dependency and not self.allow.about(name):
            return Verdict(is_allowed=False, reason="filters.allow: it is not among the projects that are allowed")
        return ALLOWED

    def release_verdict(self, name: NormalizedName, version: Version | None) -> Verdict:
        """Whether a release may be chosen. A version that is none of PEP 440 (None) satisfies no specifier."""
        for pattern in self.exclude.about(name):
            if pattern.accepts(version):
                return _denied("exclude", pattern.text)
        allowing = self.allow.about(name)
        if allowing and not any(pattern.accepts(version) for pattern in allowing):
            return _denied("allow", ", ".join(pattern.text for pattern in allowing))
        return ALLOWED

    def file_verdict(self, project: NormalizedName, file: DistFile, parsed: ParsedFilename, now: datetime) -> Verdict:
        """Whether a file may be chosen; of the filters that deny it the first is named.

        A file whose size nobody can tell passes `max-file-size`, and is measured while it is downloaded; one of
        unknown age does not pass `min-age`, for nothing would ever show that it is old enough.
        """
        if self.exclude or self.allow:
            verdict = self.release_verdict(project, parsed.version)
            if not verdict.is_allowed:
                return verdict
        for check in _CHECKS if self.has_file_filters else _CHECKS[:1]:
            found = check(self, file, parsed, now)
            if found is not None:
                return found
        return ALLOWED


def filter_faults(filters: Filters, where: str) -> list[tuple[str, str]]:
    """Every fault of the filters as (key, sentence), in the order of the keys; empty when they can be compiled."""
    faults: list[tuple[str, str]] = []
    for key, attempt in _attempts(filters, where):
        try:
            attempt()
        except InvalidRequirement as fault:
            faults.append((key, f"{key}: {fault.text!r}: {fault.reason}. {fault.hint}".strip()))
    return faults


def _attempts(filters: Filters, where: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Each value with what reads it."""
    for key, texts in (("exclude", filters.exclude), ("allow", filters.allow)):
        for text in texts:
            yield key, partial(parse_project_pattern, text, where)
    for text in filters.formats or ():
        yield "formats", partial(_check_format, text, where)
    yield "keep-latest", partial(_check_keep_latest, filters.keep_latest, where)
    yield "max-releases", partial(_check_keep_latest, filters.max_releases, where)
    for text in filters.exclude_statuses:
        yield "exclude-statuses", partial(_check_status, text, where)
    if filters.max_project_size is not None:
        yield "max-project-size", partial(parse_size, filters.max_project_size, where)
    if filters.max_file_size is not None:
        yield "max-file-size", partial(parse_size, filters.max_file_size, where)
    if filters.min_age is not None:
        yield "min-age", partial(parse_duration, filters.min_age, where)


def _check_format(text: str, where: str) -> None:
    if text.lower() not in _FORMATS:
        raise InvalidRequirement(where, text, "there is no such format", hint=f"Use some of {', '.join(_FORMATS)}.")


def _check_status(text: str, where: str) -> None:
    if text not in STATUSES:
        raise InvalidRequirement(where, text, "there is no such status", hint=f"Use some of {', '.join(STATUSES)}.")


def _check_keep_latest(count: int | None, where: str) -> None:
    if count is not None and count < 1:
        raise InvalidRequirement(where, str(count), "it must be 1 or more", hint="Leave it out to keep every release.")


def _denied(key: str, text: str) -> Verdict:
    return Verdict(is_allowed=False, reason=f'filters.{key}: "{text}"')


# --- the filters of files -------------------------------------------------------------------------------------------
def _format(policy: Policy, _file: DistFile, parsed: ParsedFilename, _now: datetime) -> Verdict | None:
    if parsed.kind in (_DEFAULT_FORMATS if policy.formats is None else policy.formats):
        return None
    return Verdict(is_allowed=False, reason=f"filters.formats: {parsed.kind.value} is not among them")


def _extension(policy: Policy, _file: DistFile, parsed: ParsedFilename, _now: datetime) -> Verdict | None:
    if not policy.extensions or parsed.extension in policy.extensions:
        return None
    return Verdict(is_allowed=False, reason=f"filters.extensions: {parsed.extension} is not among them")


def _python_tag(policy: Policy, _file: DistFile, parsed: ParsedFilename, _now: datetime) -> Verdict | None:
    if not policy.python_tags or parsed.kind not in {FileKind.WHEEL, FileKind.EGG}:
        return None
    if any(policy.python_tags.first_match((tag,)) for tag in (*parsed.python_tags, ".".join(parsed.python_tags))):
        return None
    tags = ".".join(parsed.python_tags) or "no Python tag"
    return Verdict(is_allowed=False, reason=f"filters.python-tags: {tags} is not among them")


def _excluded_tag(policy: Policy, _file: DistFile, parsed: ParsedFilename, _now: datetime) -> Verdict | None:
    text = policy.exclude_tags.excludes(parsed) if policy.exclude_tags else None
    return None if text is None else _denied("exclude-tags", text)


def _size(policy: Policy, file: DistFile, _parsed: ParsedFilename, _now: datetime) -> Verdict | None:
    limit = policy.max_file_size_bytes
    if limit is None or file.size is None or file.size <= limit:
        return None
    return Verdict(is_allowed=False, reason=f"filters.max-file-size: {file.size:,} bytes, {limit:,} are allowed")


def _age(policy: Policy, file: DistFile, _parsed: ParsedFilename, now: datetime) -> Verdict | None:
    if not policy.min_age:
        return None
    uploaded = _moment(file.upload_time)
    if uploaded is None:
        return Verdict(is_allowed=False, reason="filters.min-age: the index does not say when it was uploaded")
    if uploaded < now - policy.min_age:  # exactly the cutoff is still too young, as for pip and uv
        return None
    until = uploaded + policy.min_age
    return Verdict(
        is_allowed=False,
        reason=f"filters.min-age: uploaded {file.upload_time}, old enough after {until:%Y-%m-%dT%H:%M:%SZ}",
    )


def old_enough_at(policy: Policy, file: DistFile) -> float | None:
    """When a file passes `min-age`, in seconds since the epoch; None where the index does not say when it came."""
    uploaded = _moment(file.upload_time)
    return None if uploaded is None else (uploaded + policy.min_age).timestamp()


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_CHECKS: tuple[Callable[[Policy, DistFile, ParsedFilename, datetime], Verdict | None], ...] = (
    _format,
    _extension,
    _python_tag,
    _excluded_tag,
    _size,
    _age,
)

"""The decoded tables: what pages and documents of upstreams say, as rows that a person can query."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.core.filenames import FileKind, release_and_kind
from pypim.core.required import described_requirements, release_of, requirements_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.description import Description
    from pypim.core.model import CoreMetadata, DistFile, Page
    from pypim.core.required import KnownRequirement
    from pypim.store.database import Database

_encode = msgspec.json.Encoder().encode
_MOST_FILES = 1 << 24
"""Of a page: a file's row has its project's number in the bits above its position. No page that is read has as many."""
_MOST_BYTES = 1 << 62
"""An upstream may claim any sizes, and a column takes 63 bits."""
_WHEEL, _OF_WHEELS = FileKind.WHEEL, FileKind.WHEEL.value

BYTES_THEMSELVES = "*"
"""In place of an upstream: what was read out of bytes whose sha256 was checked, which counts for everybody."""

Row = tuple[object, ...]


class DecodedPage(NamedTuple):
    """A page, the name of its upstream, and the URL of the answer that it was decoded from."""

    upstream: str
    url: str
    page: Page


class DecodedTables:
    """Writes them, in the transaction of whoever calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep_pages(self, pages: Sequence[DecodedPage]) -> None:
        """Keep many pages, each in place of what was known of its project, with one statement for each table."""
        # Of two answers for one project the later one counts.
        latest = {(one.upstream, one.page.name): one for one in pages}
        numbers = self._numbers(latest)
        decoded = [PageRows(numbers[key], one) for key, one in latest.items()]
        self._database.insert_many("keep_file", chain.from_iterable(rows.files() for rows in decoded))
        self._database.insert_many("keep_release", chain.from_iterable(rows.releases() for rows in decoded))
        self._database.run_many("keep_project", (rows.project() for rows in decoded))

    def forget_urls(self, urls: Sequence[str]) -> None:
        """Forget what was decoded from those answers."""
        found = self._database.rows("projects_of_urls", (_encode(urls),))
        self._forget([number for number, *_ in found])

    def forget_elsewhere(self, upstream: str, url: str) -> None:
        """Forget what was decoded from pages of that upstream which are not below that URL."""
        self._forget([number for (number,) in self._database.rows("projects_elsewhere", (upstream, url, url))])

    def _forget(self, numbers: Sequence[int]) -> None:
        rows = [(number,) for number in numbers]
        for query in ("forget_files", "forget_releases", "forget_project"):
            self._database.run_many(query, rows)

    def _numbers(self, pages: Iterable[tuple[str, NormalizedName]]) -> dict[tuple[str, NormalizedName], int]:
        """The number of each project: the one that it had, whose rows are forgotten, or a new one."""
        names: dict[str, list[NormalizedName]] = {}
        for upstream, name in pages:
            names.setdefault(upstream, []).append(name)
        found: dict[tuple[str, NormalizedName], int] = {}
        for upstream, wanted in names.items():
            rows = self._database.rows("projects_named", (upstream, _encode(wanted)))
            found |= {(upstream, name): number for number, name, _ in rows}
        self._forget(list(found.values()))
        ((newest,),) = self._database.rows("newest_project")
        newest = max([newest, *found.values()])
        for key in ((upstream, name) for upstream, wanted in names.items() for name in wanted):
            if key not in found:
                newest += 1
                found[key] = newest
        return found

    def keep_description(self, upstream: str, project: NormalizedName, url: str, told: Description | None) -> None:
        """Keep what a project says of itself, in place of what it said; None: nothing any more."""
        database = self._database
        database.run("forget_description", (upstream, project))
        database.run("forget_classifiers", (upstream, project))
        database.run("forget_requirements", (url,))
        if told is None:
            return
        facts = (release_of(told.version) or None, told.summary, told.author, told.author_email, told.maintainer)
        more = (told.maintainer_email, told.license, told.license_expression, told.keywords, told.home_page)
        addresses = _encode(told.project_urls).decode()
        row = (upstream, project, url, *facts, *more, told.requires_python, addresses)
        database.run("keep_description", row)
        database.run_many("keep_classifier", [(upstream, project, one) for one in told.classifiers])
        self._keep_requirements(url, described_requirements(project, told.version, told.requires_dist))

    def forget_descriptions(self, urls: Sequence[str]) -> None:
        """Forget what those documents said."""
        for upstream, project, url in self._database.rows("descriptions_of_urls", (_encode(urls),)):
            self.keep_description(upstream, project, url, None)

    def keep_metadata(self, key: str, upstream: str, metadata: CoreMetadata) -> None:
        """Keep what a file requires, in place of what was believed of it.

        What its bytes say counts in place of all that upstreams said of it, and stays whatever they say later.
        """
        if upstream == BYTES_THEMSELVES:
            self._database.run("forget_said_requirements", (key,))
        elif self._database.row("metadata", (key, BYTES_THEMSELVES)) is not None:
            return
        else:
            key = f"{key} {upstream}".strip()
        self._database.run("forget_requirements", (key,))
        self._keep_requirements(key, requirements_in(metadata.name, metadata.version, metadata))

    def keep_checked(self, learned: Iterable[tuple[str, CoreMetadata]]) -> None:
        """What the bytes of many files say, likewise, with one statement for each query."""
        found = dict(learned)
        self._database.run_many("forget_said_requirements", [(key,) for key in found])
        self._database.run_many("forget_requirements", [(key,) for key in found])
        rows = (
            _requirement_row(key, *one)
            for key, metadata in found.items()
            for one in enumerate(requirements_in(metadata.name, metadata.version, metadata))
        )
        self._database.run_many("keep_requirement", rows)

    def _keep_requirements(self, key: str, found: Iterable[KnownRequirement]) -> None:
        self._database.run_many("keep_requirement", [_requirement_row(key, *one) for one in enumerate(found)])


def _requirement_row(key: str, position: int, one: KnownRequirement) -> Row:
    said = (one.requirement, one.extras, one.specifier, one.marker, one.is_build, one.is_described)
    return (one.required, one.project, one.version, key, position, *said)


_SAID: dict[bool | str | None, str | None] = {None: None, True: "yes", False: "no"}


class PageRows:
    """The rows of one page, made as they are taken: first those of its files, then those that add these up."""

    def __init__(self, number: int, one: DecodedPage) -> None:
        """`number` is the project's."""
        self._number = number
        self._one = one
        self._releases: dict[str, list[DistFile]] = {}
        self._bytes = 0
        self._first: str | None = None
        self._last: str | None = None

    def files(self) -> Iterator[Row]:
        """One for each file, in the order of the page."""
        name, releases = self._one.page.name, self._releases
        for key, file in enumerate(self._one.page.files, self._number * _MOST_FILES):
            filename = file.filename
            version, kind = release_and_kind(filename, name)
            release = version or ""
            if release in releases:
                releases[release].append(file)
            else:
                releases[release] = [file]
            yanked, core_metadata = file.yanked, file.core_metadata
            yield (
                key,
                filename,
                version,
                _OF_WHEELS if kind is _WHEEL else kind.value,
                file.url,
                file.sha256,
                file.blake2b_256,
                file.size,
                file.upload_time,
                file.requires_python,
                None if yanked is False else "" if yanked is True else yanked,
                core_metadata if isinstance(core_metadata, str) else _SAID[core_metadata],
                file.provenance,
            )

    def releases(self) -> Iterator[Row]:
        """One for each release: those of the files, and those without files that the page names."""
        for version in self._one.page.versions:
            self._releases.setdefault(release_of(version), [])
        for version, files in self._releases.items():
            yield self._release(version, files)

    def _release(self, version: str, files: Sequence[DistFile]) -> Row:
        size = sum([file.size or 0 for file in files])
        yanked = len([file for file in files if file.yanked is not False])
        times = [file.upload_time for file in files if file.upload_time is not None]
        first = min(times, default=None)
        if first is not None:
            self._first = min(first, self._first or first)
            self._last = max(*times, self._last or first)
        self._bytes += size
        return self._number, version, len(files), yanked, min(size, _MOST_BYTES), first

    def project(self) -> Row:
        """That of the project."""
        one, page = self._one, self._one.page
        said = (page.status.value, page.status_reason, page.last_serial, _encode(page.dropped).decode(), one.url)
        total = (len(self._releases), len(page.files), min(self._bytes, _MOST_BYTES), self._first, self._last)
        return (self._number, one.upstream, page.name, *said, *total)

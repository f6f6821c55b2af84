"""The decoded tables: what pages and documents of upstreams say, as rows that a person can query."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pypim.core.filenames import release_and_kind
from pypim.core.required import described_requirements, release_of, requirements_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.description import Description
    from pypim.core.model import CoreMetadata, DistFile, Page
    from pypim.core.required import KnownRequirement
    from pypim.store.database import Database

_encode = msgspec.json.Encoder().encode
_MOST_FILES = 1 << 24
"""Of a page: a file's row has its project's number in the bits above its position. No page that is read has as many."""
_MOST_BYTES = 1 << 62

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
        decoded = [decoded_rows(numbers[key], one) for key, one in latest.items()]
        self._database.run_many("keep_project", [project for project, _, _ in decoded])
        self._database.run_many("keep_file", (row for _, files, _ in decoded for row in files))
        self._database.run_many("keep_release", (row for _, _, releases in decoded for row in releases))

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

    def _keep_requirements(self, key: str, found: Iterable[KnownRequirement]) -> None:
        self._database.run_many("keep_requirement", [_requirement_row(key, *one) for one in enumerate(found)])


def _requirement_row(key: str, position: int, one: KnownRequirement) -> Row:
    said = (one.requirement, one.extras, one.specifier, one.marker, one.is_build, one.is_described)
    return (one.required, one.project, one.version, key, position, *said)


_SAID: dict[bool | str | None, str | None] = {None: None, True: "yes", False: "no"}


def decoded_rows(number: int, one: DecodedPage) -> tuple[Row, list[Row], list[Row]]:
    """The row of a project, those of its files, and those of its releases."""
    page = one.page
    name, key = page.name, number * _MOST_FILES
    releases: dict[str, list[DistFile]] = {}
    rows: list[Row] = []
    for file in page.files:
        version, kind = release_and_kind(file.filename, name)
        of_release = releases.get(version or "")
        if of_release is None:
            releases[version or ""] = [file]
        else:
            of_release.append(file)
        yanked, core_metadata = file.yanked, file.core_metadata
        rows.append(
            (
                key,
                file.filename,
                version,
                kind.value,
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
        )
        key += 1
    for version in page.versions:
        releases.setdefault(release_of(version), [])
    of_project = [_release_row(number, version, files) for version, files in releases.items()]
    total = _page_total(page)
    said = (page.status.value, page.status_reason, page.last_serial, _encode(page.dropped).decode(), one.url)
    return (number, one.upstream, name, *said, len(releases), len(page.files), *total), rows, of_project


def _release_row(number: int, version: str, files: Sequence[DistFile]) -> Row:
    size = yanked = 0
    first: str | None = None
    for file in files:
        size += file.size or 0
        yanked += file.yanked is not False
        time = file.upload_time
        if time is not None and (first is None or time < first):
            first = time
    # An upstream may claim any sizes, and the column takes 63 bits.
    return number, version, len(files), yanked, min(size, _MOST_BYTES), first


def _page_total(page: Page) -> tuple[int, str | None, str | None]:
    """The bytes of a page's files, and their first and last upload."""
    times = [file.upload_time for file in page.files if file.upload_time is not None]
    size = sum([file.size or 0 for file in page.files])
    return min(size, _MOST_BYTES), min(times, default=None), max(times, default=None)

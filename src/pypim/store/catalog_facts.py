"""What the catalog takes in of whole upstreams at once, and its answers to questions from the other end."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from pypim.core.description import TEXT_FIELDS, Description
from pypim.core.records import KeptHead, keyed
from pypim.core.required import KnownRequirement
from pypim.store.catalog_pages import response_row
from pypim.store.database import told_as_damage
from pypim.store.decoded import DecodedPage, DecodedTables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName

    from pypim.core.records import Gathered, Owner
    from pypim.store.database import Database

_encode = msgspec.json.Encoder().encode
_decode_addresses = msgspec.json.Decoder(dict[str, str]).decode


@told_as_damage
class CatalogFacts:
    """The Facts of a catalog.

    Pages are not packed here, as they are where a selection was made of them: whoever needs one decodes its answer.
    """

    def __init__(self, database: Database, owner: Owner | None = None) -> None:
        """What `owner` may believe: without one, all that anybody said is told."""
        self._database = database
        self._credentials = "" if owner is None else owner.credentials
        self._said_by: tuple[str | None, str | None] = (None, None)
        if owner is not None:
            address = urlsplit(owner.upstream)
            server = f"{address.scheme}://{address.netloc}/"
            self._said_by = (owner.known_as, keyed(server, owner.credentials))
        self._decoded = DecodedTables(database)

    def heads(self, urls: Sequence[str]) -> dict[str, KeptHead]:
        """What is kept of those answers, without their bodies."""
        found = {}
        asked = {self._key(url): url for url in urls}
        rows = self._database.rows("kept_heads", (_encode(list(asked)),))
        for key, status, etag, modified, serial, is_decoded in rows:
            found[asked[key]] = KeptHead(
                url=asked[key],
                status=status,
                etag=etag,
                last_modified=modified,
                serial=serial,
                is_decoded=bool(is_decoded),
            )
        return found

    def keep(self, upstream: str, gathered: Sequence[Gathered]) -> None:
        """Keep many answers with what they say, in one transaction."""
        latest = {self._key(one.response.url): one for one in gathered}
        pages = [DecodedPage(upstream, key, one.page) for key, one in latest.items() if one.page is not None]
        gone = [key for key, one in latest.items() if one.page is None and one.description is None]
        self._database.run("checkpoint_seldom")
        with self._database.transaction(is_durable=False):
            rows = (response_row(upstream, key, one.response, None) for key, one in latest.items())
            self._database.run_many("keep_response", rows)
            self._decoded.forget_urls(list(latest))
            if pages:
                self._decoded.keep_pages(pages)
            for key, one in latest.items():
                if one.description is not None:
                    self._decoded.keep_description(upstream, one.project, key, one.description)
            self._decoded.forget_descriptions(gone)

    def confirm(self, found_valid: Iterable[tuple[str, float, float | None]]) -> None:
        """The kept answers were found to be still valid."""
        with self._database.transaction(is_durable=False):
            rows = [(when, fresh, self._key(url)) for url, when, fresh in found_valid]
            self._database.run_many("touch_response", rows)

    def description(self, upstream: str, project: NormalizedName) -> Description | None:
        """What a project says of itself."""
        row = self._database.row("description", (upstream, project))
        if row is None:
            return None
        *texts, addresses, url = row
        classifiers = tuple(one for (one,) in self._database.rows("classifiers", (upstream, project)))
        requires = tuple(one for (one,) in self._database.rows("described_requirements", (url,)))
        return Description(
            **dict(zip(TEXT_FIELDS, texts, strict=True)),
            project_urls=_decode_addresses(addresses),
            classifiers=classifiers,
            requires_dist=requires,
        )

    def required_names(self) -> list[NormalizedName]:
        """Every project on which a requirement is known."""
        return [name for (name,) in self._database.rows("required_names")]

    def requiring(self, project: NormalizedName) -> list[KnownRequirement]:
        """Every requirement on that project that is known."""
        return self._known("requiring", (project, *self._said_by))

    def required_by(self, project: NormalizedName, version: str | None = None) -> list[KnownRequirement]:
        """Every requirement of that project that is known."""
        return self._known("required_by", (project, *self._said_by, version))

    def _key(self, url: str) -> str:
        return keyed(url, self._credentials)

    def _known(self, query: str, parameters: tuple[object, ...]) -> list[KnownRequirement]:
        found = []
        for project, version, required, requirement, *parts, is_build, is_described in self._database.rows(
            query, parameters
        ):
            extras, specifier, marker = parts
            found.append(
                KnownRequirement(
                    project=project,
                    version=version,
                    required=required,
                    requirement=requirement,
                    extras=extras,
                    specifier=specifier,
                    marker=marker,
                    is_build=bool(is_build),
                    is_described=bool(is_described),
                )
            )
        return found

"""Uploads to a hosted index, and what becomes of them later: yanked, deleted, archived; each told to the audit log.

The order is fixed: bytes durable, then the row, then the epoch, then the audit line, then the answer. Whoever is killed
on the way leaves bytes without a row, which prune finds; a client that tries again is told that all is well. What is
decided is decided on what the index has of the project, and the row is written only while it still has exactly that.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from pypim.core.access_errors import NotPermitted
from pypim.core.attestations import attestations_about
from pypim.core.audit import AuditEntry
from pypim.core.errors import PypimError
from pypim.core.filenames import parse_version
from pypim.core.hosted import HostedFile, Standing, upload_time
from pypim.core.upload import (
    Accepted,
    AlreadyHeld,
    Received,
    Rejected,
    UploadForm,
    UploadPolicy,
    decide,
    named_project,
    release_name,
)
from pypim.core.upload_archive import examine
from pypim.core.upload_errors import NotHosted
from pypim.web.unbroken import finished, in_thread
from pypim.web.upload_form import read_upload
from pypim.web.upload_whole import is_whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager

    from packaging.utils import NormalizedName

    from pypim.core.access import Visitor
    from pypim.core.model import ProjectStatus
    from pypim.ports import Audit, Background, Blobs, Clock, Epochs, Hosted, Hosting, StagedBlob

_MOST_REASON_CHARS = 1000
_log = logging.getLogger("pypim.server")


class UploadStore(msgspec.Struct, frozen=True, kw_only=True):
    """Where uploads go."""

    hosted: Hosted
    """To be read on the event loop."""
    hosting: Hosting
    """To be written in the background."""
    blobs: Blobs
    keeping: Callable[[], AbstractContextManager[None]]
    """Held between the bytes and their row (`Keeping.shared`); may wait."""
    epochs: Epochs
    audit: Audit
    """Written in the background."""


class UploadSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What one hosted index takes from whom."""

    policy: UploadPolicy = UploadPolicy()
    creators: frozenset[str] | None = None
    """Users and groups that may begin a project; None: everybody who may upload."""
    max_upload_size: int | None = None
    """Of a request, in bytes; the policy has another limit for the file."""

    def may_create(self, visitor: Visitor) -> bool:
        """Whether that visitor may make a project by its first upload."""
        return self.creators is None or not visitor.names.isdisjoint(self.creators)


class Sender(msgspec.Struct, frozen=True):
    """Who sent a request, as far as it is known before the project is."""

    visitor: Visitor
    peer: str
    permit: Callable[[NormalizedName], Visitor]
    """Raises NotPermitted where the visitor may not do it with that project."""


class Uploads:
    """All that changes one hosted index."""

    def __init__(
        self, name: str, store: UploadStore, background: Background, clock: Clock, settings: UploadSettings
    ) -> None:
        self.name = name
        self.settings = settings
        self._store = store
        self._background = background
        self._clock = clock

    async def receive(self, chunks: AsyncIterator[bytes], content_type: str, sender: Sender) -> bool:
        """Take the form of an upload; whether the file is new. Raises what `take` and `read_upload` raise."""
        staged = self.stage()
        try:
            form = await self._audited_form(chunks, content_type, staged, sender)
            return await self.take(staged, form, sender)
        finally:
            staged.discard()

    def stage(self) -> StagedBlob:
        """A place for the bytes of one upload; nobody finds them again when it breaks off."""
        return self._store.blobs.stage(f"upload {uuid4()}")

    async def take(self, staged: StagedBlob, form: UploadForm, sender: Sender) -> bool:
        """Keep and list a file whose bytes have come; False where it was there already.

        Raises InvalidUpload with every fault, FileExistsDiffers, UploadRefused, NotPermitted, or a StoreFault.
        """
        received = await in_thread(partial(_inspect, staged, form))
        return await finished(self._settle(staged, form, received, sender))

    async def refuse(self, error: PypimError, peer: str, action: str, project: str = "", visitor: str = "") -> None:
        """Tell the audit log of somebody who was turned away before anything of the request was done."""
        entry = AuditEntry(
            time=self._now()[1],
            visitor=error.who if isinstance(error, NotPermitted) else visitor,
            action=action,
            index=self.name,
            project=project,
            outcome=error.code,
            reason=error.message,
            peer=peer,
        )
        await self._append(entry)

    async def yank(
        self, sender: Sender, project: NormalizedName, version: str, reason: str, *, is_yanked: bool
    ) -> None:
        """Yank a release, or take that back (PEP 592). Raises NotHosted."""
        parsed = parse_version(version)
        normalised = version if parsed is None else release_name(self.standing(project).files, parsed)
        yanked = (reason or True) if is_yanked else False
        work = partial(self._store.hosting.yank, self.name, project, normalised, self._now()[0], yanked=yanked)
        entry = partial(
            self._entry, sender, "yank" if is_yanked else "unyank", project=project, filename=normalised, reason=reason
        )
        await self._change(work, entry, f"release {normalised} of {project}")

    async def delete(self, sender: Sender, project: NormalizedName, filename: str, reason: str) -> None:
        """Delete a file; its name is not used again. Raises NotHosted."""

        def work() -> bool:
            same = self._store.hosted.standing(self.name, project, filename).same_name
            if same is None or same.project != project:
                return False
            return self._store.hosting.remove(self.name, filename, reason, now) is not None

        now = self._now()[0]
        entry = partial(self._entry, sender, "delete", project=project, filename=filename, reason=reason)
        await self._change(work, entry, f"file {filename} of {project}")

    async def mark(self, sender: Sender, project: NormalizedName, status: ProjectStatus, reason: str) -> None:
        """Give a project a status (PEP 792). Raises NotHosted."""
        work = partial(self._store.hosting.mark, self.name, project, status, reason or None, self._now()[0])
        entry = partial(self._entry, sender, f"status {status}", project=project, reason=reason)
        await self._change(work, entry, f"project {project}")

    def standing(self, project: NormalizedName) -> Standing:
        """What the index has of a project."""
        return self._store.hosted.standing(self.name, project)

    async def _change(self, work: Callable[[], bool], entry: Callable[..., AuditEntry], what: str) -> None:
        async def settle() -> None:
            if not await self._background.run(work):
                error = NotHosted(self.name, what)
                await self._append(entry(outcome=error.code))
                raise error
            self._store.epochs.advance(self.name)
            await self._append(entry(outcome="done"))

        await finished(settle())

    async def _audited_form(
        self, chunks: AsyncIterator[bytes], content_type: str, staged: StagedBlob, sender: Sender
    ) -> UploadForm:
        most = self.settings.policy.max_file_size
        try:
            return await read_upload(chunks, content_type, staged, most)
        except PypimError as error:
            await self._append(self._entry(sender, "upload", outcome=error.code, reason=error.message))
            raise

    async def _settle(self, staged: StagedBlob, form: UploadForm, received: Received, sender: Sender) -> bool:
        project = named_project(form, received.archive)
        entry = partial(self._entry, sender, "upload", project=project or "", filename=form.filename[:300])
        try:
            visitor = sender.permit(project) if project is not None else sender.visitor
            is_new = await self._keep(staged, form, received, visitor)
        except PypimError as error:
            await self._append(entry(outcome=error.code, reason=error.message))
            raise
        self._store.epochs.advance(self.name)
        await self._append(entry(outcome="done" if is_new else "unchanged"))
        return is_new

    async def _keep(self, staged: StagedBlob, form: UploadForm, received: Received, visitor: Visitor) -> bool:
        """Decide, keep the bytes, commit the row; again from the start where the project has changed meanwhile."""
        may_create, is_kept = self.settings.may_create(visitor), False
        project = named_project(form, received.archive)
        with ExitStack() as stack:
            while True:
                standing = Standing()
                if project is not None:
                    standing = self._store.hosted.standing(self.name, project, form.filename)
                choose = partial(decide, form, received, standing, self.settings.policy, may_create=may_create)
                outcome = await in_thread(choose)
                if isinstance(outcome, Rejected):
                    raise outcome.error
                if isinstance(outcome, AlreadyHeld):
                    await self._heal(staged, outcome.file, received)
                    return False
                file = self._file(outcome, form, received, visitor)
                if not is_kept:
                    await in_thread(partial(stack.enter_context, self._store.keeping()))
                    await self._store.blobs.keep(staged, file.holding, outcome.metadata if outcome.is_wheel else None)
                    is_kept = True
                if await self._background.run(partial(self._store.hosting.add, self.name, file, standing)):
                    return True

    async def _heal(self, staged: StagedBlob, file: HostedFile, received: Received) -> None:
        """Put the bytes of a listed file in their place where they are gone, or are others by now."""
        path = self._store.blobs.path(file.holding)
        if await in_thread(partial(is_whole, path, file)):
            return
        with ExitStack() as stack:
            await in_thread(partial(stack.enter_context, self._store.keeping()))
            metadata = received.archive.metadata if file.metadata_sha256 is not None else None
            await self._store.blobs.keep(staged, file.holding, metadata)
            await self._background.run(partial(self._store.hosting.hold, file))
        _log.warning("%s: the bytes of %s were gone or damaged; an upload put them back", self.name, file.filename)

    def _file(self, accepted: Accepted, form: UploadForm, received: Received, visitor: Visitor) -> HostedFile:
        return HostedFile(
            project=accepted.project,
            filename=accepted.filename,
            version=accepted.version,
            sha256=received.digests["sha256_digest"],
            blake2b_256=received.digests["blake2_256_digest"],
            size=received.size,
            uploaded_at=self._now()[0],
            uploaded_by=visitor.name,
            requires_python=accepted.requires_python,
            yanked=accepted.yanked,
            metadata_sha256=sha256(accepted.metadata).hexdigest() if accepted.is_wheel else None,
            attestations=attestations_about(form.attestations, accepted.filename, received.digests["sha256_digest"]),
        )

    def _entry(self, sender: Sender, action: str, **columns: str) -> AuditEntry:
        columns["reason"] = columns.get("reason", "")[:_MOST_REASON_CHARS]
        return AuditEntry(
            time=self._now()[1],
            visitor=sender.visitor.name,
            action=action,
            index=self.name,
            peer=sender.peer,
            **columns,
        )

    async def _append(self, entry: AuditEntry) -> None:
        await self._background.run(partial(self._store.audit.append, entry))

    def _now(self) -> tuple[float, str]:
        seconds = self._clock.now().timestamp()
        return seconds, upload_time(seconds)


def _inspect(staged: StagedBlob, form: UploadForm) -> Received:
    """Look at the bytes that came; md5 only where the form wants it compared."""
    digests = {"sha256_digest": staged.digest("sha256"), "blake2_256_digest": staged.digest("blake2b_256")}
    if "md5_digest" in form.digests:
        digests["md5_digest"] = staged.digest("md5")
    with staged.open() as stream:
        return Received(size=staged.size, digests=digests, archive=examine(stream, form.filename))

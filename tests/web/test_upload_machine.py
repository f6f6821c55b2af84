"""Uploads, yanks, deletions, statuses and restarts in any order, against a dictionary that says what must come out."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pypim.core.access import Visitor
from pypim.core.errors import ProjectNotFound, PypimError
from pypim.core.model import Page, ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.upload import read_form
from pypim.core.upload_errors import FileExistsDiffers, InvalidUpload, NotHosted, UploadRefused
from pypim.index.hosted import HostedIndex
from pypim.store.blobs import LocalBlobs
from pypim.store.catalog import Catalog
from pypim.store.epochs import LocalEpochs
from pypim.store.keeping import Keeping
from pypim.store.memory_hosted import MemoryAudit
from pypim.web.upload import Sender, Uploads, UploadSettings, UploadStore
from pypim.wiring import SystemClock
from tests.web.uploading import Upload, changed, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
OURS = parse_name("ours")
VERSIONS = ("1.0", "1.1", "2.0.dev1")
CHOICES = [make(version=version) for make in (wheel, sdist) for version in VERSIONS]
CHOICES += [changed(upload) for upload in CHOICES if upload.filename.endswith(".whl")]
# Valid names of the same files, which installers take for the same.
CHOICES += [replace(upload, filename=upload.filename.replace("ours-", "Ours-")) for upload in CHOICES[:6]]
CHOICES += [
    replace(upload, filename=upload.filename.replace("-1.0", "-1.0.0"))
    for upload in CHOICES
    if "-1.0" in upload.filename
]
CLOSED = {ProjectStatus.ARCHIVED, ProjectStatus.QUARANTINED}
VISITOR = Visitor(name="alice")
SENDER = Sender(VISITOR, "192.0.2.7", lambda _: VISITOR)


def installed_as(filename: str) -> tuple[bool, str]:
    """What an installer sees of a name: whether it is a wheel, and the version."""
    is_wheel = filename.endswith(".whl")
    version = filename.split("-")[1] if is_wheel else filename.removesuffix(".tar.gz").split("-")[1]
    return is_wheel, version.removesuffix(".0") if version.count(".") == 2 else version


class AtOnce:
    """A Background that is in the foreground."""

    async def run(self, work: Callable[[], T]) -> T:
        return work()


class UploadMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="uploads-")
        self.audit = MemoryAudit()
        self.files: dict[str, Upload] = {}
        self.deleted: set[str] = set()
        self.yanked: dict[str, str] = {}
        self.status = ProjectStatus.ACTIVE
        self.is_known = False
        self.writes = 0
        self.serial = 0

    @initialize()
    def open(self) -> None:
        path = Path(self.folder.name)
        self.catalog = Catalog.open(path / "catalog.sqlite")
        self.epochs = LocalEpochs.open(path)
        blobs = LocalBlobs(path, path / "staging", is_durable=False)
        store = UploadStore(
            hosted=self.catalog.hosted,
            hosting=self.catalog.hosted,
            blobs=blobs,
            keeping=Keeping(path).shared,
            epochs=self.epochs,
            audit=self.audit,
        )
        self.uploads = Uploads("private", store, AtOnce(), SystemClock(), UploadSettings())
        self.index = HostedIndex("private", self.catalog.hosted, blobs, self.epochs)

    @rule()
    def restart(self) -> None:
        self.close()
        self.open()

    @rule(upload=st.sampled_from(CHOICES))
    def upload(self, upload: Upload) -> None:
        self.upload_and_compare(upload)

    @precondition(lambda self: self.files or self.deleted)
    @rule(number=st.integers(0, 60))
    def upload_in_another_spelling(self, number: int) -> None:
        names = sorted({*self.files, *self.deleted})
        name = names[number % len(names)]
        alike = [one for one in CHOICES if installed_as(one.filename) == installed_as(name) and one.filename != name]
        self.upload_and_compare(alike[number % len(alike)])

    def upload_and_compare(self, upload: Upload) -> None:
        error = self.outcome(self.sent(upload))
        there = self.files.get(upload.filename)
        if self.is_known and self.status in CLOSED:
            assert isinstance(error, UploadRefused)
        elif there is not None:
            assert (error is None) == (there.content == upload.content)
            assert error is None or isinstance(error, FileExistsDiffers)
        elif installed_as(upload.filename) in map(installed_as, self.deleted):
            assert isinstance(error, InvalidUpload)
        elif installed_as(upload.filename) in map(installed_as, self.files):
            assert isinstance(error, FileExistsDiffers if upload.filename.endswith(".whl") else InvalidUpload)
        else:
            assert error is None
            reasons = [self.yanked.get(name) for name, one in self.files.items() if one.version == upload.version]
            self.files[upload.filename] = upload
            self.is_known = True
            if reasons and reasons[0] is not None:
                self.yanked[upload.filename] = reasons[0]

    @rule(upload=st.sampled_from(CHOICES), reason=st.sampled_from(["", "it breaks", 'a "b" <c>\n']))
    def yank(self, upload: Upload, reason: str) -> None:
        error = self.outcome(self.uploads.yank(SENDER, OURS, upload.version, reason, is_yanked=True))
        is_there = any(one.version == upload.version for one in self.files.values())
        assert (error is None) == is_there
        if is_there:
            for name, one in self.files.items():
                if one.version == upload.version:
                    self.yanked[name] = reason

    @rule(version=st.sampled_from(VERSIONS))
    def unyank(self, version: str) -> None:
        error = self.outcome(self.uploads.yank(SENDER, OURS, version, "", is_yanked=False))
        names = [name for name, one in self.files.items() if one.version == version]
        assert isinstance(error, NotHosted) == (not names)
        for name in names:
            self.yanked.pop(name, None)

    @rule(upload=st.sampled_from(CHOICES))
    def delete(self, upload: Upload) -> None:
        error = self.outcome(self.uploads.delete(SENDER, OURS, upload.filename, "a secret"))
        assert (error is None) == (upload.filename in self.files)
        if self.files.pop(upload.filename, None) is not None:
            self.deleted.add(upload.filename)
            self.yanked.pop(upload.filename, None)

    @rule(status=st.sampled_from(ProjectStatus))
    def mark(self, status: ProjectStatus) -> None:
        error = self.outcome(self.uploads.mark(SENDER, OURS, status, ""))
        assert (error is None) == self.is_known
        if self.is_known:
            self.status = status

    @invariant()
    def no_two_files_are_one_to_an_installer(self) -> None:
        assert len(set(map(installed_as, self.files))) == len(self.files)

    @invariant()
    def the_page_is_as_it_must_be(self) -> None:
        try:
            page = asyncio.run(self.index.project(OURS))
        except ProjectNotFound:
            assert not self.is_known
            return
        offered = {} if self.status is ProjectStatus.QUARANTINED else self.files
        assert {file.filename: file.sha256 for file in page.files} == {n: one.sha256 for n, one in offered.items()}
        assert page.status is self.status
        assert set(page.versions) == {one.version for one in offered.values()}
        self.check_files(page)
        assert page.last_serial is not None
        assert page.last_serial >= self.serial
        self.serial = page.last_serial

    @invariant()
    def every_write_and_refusal_was_told(self) -> None:
        assert len(self.audit.entries) == self.writes

    def check_files(self, page: Page) -> None:
        for file in page.files:
            reason = self.yanked.get(file.filename)
            assert file.yanked == (False if reason is None else reason or True)
            path = asyncio.run(self.index.content(OURS, file))
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256

    async def sent(self, upload: Upload) -> None:
        staged = self.uploads.stage()
        staged.write(upload.content)
        await self.uploads.take(staged, read_form(upload.fields(), upload.filename), SENDER)
        staged.discard()

    def outcome(self, work: Coroutine[object, object, None]) -> PypimError | None:
        self.writes += 1
        epoch = self.epochs.epoch("private")
        try:
            asyncio.run(work)
        except PypimError as error:
            assert self.epochs.epoch("private") == epoch
            return error
        assert self.epochs.epoch("private") > epoch
        return None

    def close(self) -> None:
        self.catalog.close()
        self.epochs.close()

    def teardown(self) -> None:
        self.close()
        self.folder.cleanup()


class Meanwhile(AtOnce):
    """A Background before whose first work something else happens: what another worker does while bytes are kept."""

    def __init__(self, first: Callable[[], object]) -> None:
        self._first: list[Callable[[], object]] = [first]

    async def run(self, work: Callable[[], T]) -> T:
        while self._first:
            self._first.pop()()
        return work()


@pytest.mark.parametrize("meanwhile", ["archived", "sdist", "twin", "deleted"])
async def test_what_was_decided_must_still_be_so(tmp_path: Path, meanwhile: str) -> None:
    """PEP 792: archived projects MUST NOT accept uploads; one sdist for each release; one file for each spelling."""
    with Catalog.open(tmp_path / "catalog.sqlite") as catalog, closing(LocalEpochs.open(tmp_path)) as epochs:
        hosted, index = catalog.hosted, "private"
        store = UploadStore(
            hosted=hosted,
            hosting=hosted,
            blobs=LocalBlobs(tmp_path, tmp_path / "staging", is_durable=False),
            keeping=Keeping(tmp_path).shared,
            epochs=epochs,
            audit=MemoryAudit(),
        )

        async def sent(uploads: Uploads, upload: Upload) -> None:
            staged = uploads.stage()
            staged.write(upload.content)
            await uploads.take(staged, read_form(upload.fields(), upload.filename), SENDER)

        def uploads_by(background: AtOnce) -> Uploads:
            return Uploads(index, store, background, SystemClock(), UploadSettings())

        await sent(uploads_by(AtOnce()), wheel(version="1.0"))
        [listed] = hosted.standing(index, OURS).files

        def intrude() -> None:
            spelled = {"sdist": "Ours-1.1.tar.gz", "twin": "Ours-1.1-py3-none-any.whl"}
            name = spelled.get(meanwhile, sdist(version="1.1").filename)
            other = msgspec.structs.replace(listed, filename=parse_safe_filename(name), version="1.1", sha256="0" * 64)
            if meanwhile == "archived":
                hosted.mark(index, OURS, ProjectStatus.ARCHIVED, None, 1.0)
                return
            hosted.add(index, other, hosted.standing(index, OURS, other.filename))
            if meanwhile == "deleted":
                hosted.remove(index, other.filename, "", 2.0)

        late = wheel(version="1.1") if meanwhile == "twin" else sdist(version="1.1")
        before = 1 if meanwhile in {"archived", "deleted"} else 2
        with pytest.raises((UploadRefused, InvalidUpload, FileExistsDiffers)):
            await sent(uploads_by(Meanwhile(intrude)), late)
        assert len(hosted.standing(index, OURS).files) == before


UploadMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestUploadMachine = UploadMachine.TestCase

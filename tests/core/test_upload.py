"""The decision on an upload: every rule by an example, and what must hold for all of them by generated ones."""

from __future__ import annotations

import hashlib
import io
import re
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pypim.core.hosted import HostedFile, HostedProject, Standing
from pypim.core.model import ProjectStatus
from pypim.core.names import parse_name, parse_safe_filename
from pypim.core.patterns import TagPatterns
from pypim.core.upload import (
    Accepted,
    AlreadyHeld,
    Received,
    Rejected,
    UploadForm,
    UploadPolicy,
    decide,
    named_project,
    read_form,
)
from pypim.core.upload_archive import ArchiveFacts, examine
from pypim.core.upload_errors import ActionGone, FileExistsDiffers, InvalidUpload, UploadRefused
from pypim.core.upload_metadata import read_declared
from tests.web.uploading import Upload, changed, egg, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

EMPTY = Standing()
OURS = parse_name("ours")


def received_of(upload: Upload) -> Received:
    digests = {
        "sha256_digest": upload.sha256,
        "blake2_256_digest": hashlib.blake2b(upload.content, digest_size=32).hexdigest(),
        "md5_digest": hashlib.md5(upload.content).hexdigest(),
    }
    archive = examine(io.BytesIO(upload.content), upload.filename)
    return Received(size=len(upload.content), digests=digests, archive=archive)


def outcome_of(
    upload: Upload,
    standing: Standing = EMPTY,
    policy: UploadPolicy | None = None,
    *,
    may_create: bool = True,
    fields: Mapping[str, str | None] | None = None,
) -> Accepted | AlreadyHeld | Rejected:
    form = read_form(upload.fields(**(fields or {})), upload.filename)
    return decide(form, received_of(upload), standing, policy or UploadPolicy(), may_create=may_create)


def held(upload: Upload, project: NormalizedName = OURS) -> HostedFile:
    return HostedFile(
        project=project,
        filename=parse_safe_filename(upload.filename),
        version=upload.version,
        sha256=upload.sha256,
        blake2b_256="b" * 64,
        size=len(upload.content),
        uploaded_at=1.0,
        uploaded_by="alice",
    )


def standing_with(*uploads: Upload, status: ProjectStatus = ProjectStatus.ACTIVE, name: str = "") -> Standing:
    files = tuple(held(upload) for upload in uploads)
    return Standing(
        project=HostedProject(name=OURS, status=status, serial=1),
        files=files,
        same_name=next((file for file in files if file.filename == name), None),
    )


def issues_of(outcome: object) -> str:
    assert isinstance(outcome, Rejected), outcome
    return outcome.error.message


@pytest.mark.parametrize("upload", [wheel(), sdist(), wheel("Our.Pro_ject", "1!2.0rc1+local.1"), sdist("our-s", "1.0")])
def test_a_good_file_is_accepted(upload: Upload) -> None:
    outcome = outcome_of(upload)
    assert isinstance(outcome, Accepted)
    assert outcome.project == parse_name(upload.name)
    assert outcome.is_wheel == upload.filename.endswith(".whl")
    assert outcome.replaces is None


def test_the_same_file_again_is_no_fault() -> None:
    standing = standing_with(wheel(), name=wheel().filename)
    assert isinstance(outcome_of(wheel(), standing), AlreadyHeld)
    assert isinstance(outcome_of(wheel(), standing, may_create=False), AlreadyHeld)
    assert "theirs" in issues_of(outcome_of(wheel(), standing, fields={"name": "theirs"}))
    assert isinstance(outcome_of(wheel(), standing, UploadPolicy(max_file_size=1)), AlreadyHeld)
    assert "sha256_digest" in issues_of(outcome_of(wheel(), standing, fields={"sha256_digest": "0" * 64}))


def test_other_bytes_of_a_taken_name() -> None:
    outcome = outcome_of(changed(wheel()), standing_with(wheel(), name=wheel().filename))
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, FileExistsDiffers)
    assert outcome.error.message.startswith("File already exists")


def test_only_development_releases_are_replaced() -> None:
    """PEP 440: `.devN`."""
    policy = UploadPolicy(replaces_development=True)
    for version, is_replaced in (("1.0.dev3", True), ("1.0a1.dev3+x", True), ("1.0", False), ("1.0rc1", False)):
        upload = wheel(version=version)
        standing = standing_with(upload, name=upload.filename)
        outcome = outcome_of(changed(upload), standing, policy)
        assert isinstance(outcome, Accepted) == is_replaced
        assert isinstance(outcome_of(changed(upload), standing), Rejected)
        deleted = Standing(project=standing.project, is_deleted=True)
        assert isinstance(outcome_of(upload, deleted, policy), Accepted) == is_replaced
        assert isinstance(outcome_of(upload, deleted), Rejected)


def test_a_name_that_a_file_of_another_project_has_is_taken() -> None:
    """`foo-1-1.tar.gz` is version 1.post1 of foo, and version 1 of foo-1."""
    upload = sdist("ours", "1.dev1")
    other = held(upload, parse_name("ours-1"))
    standing = Standing(
        project=HostedProject(name=OURS, serial=1), same_name=msgspec.structs.replace(other, sha256="0")
    )
    assert isinstance(outcome_of(upload, standing, UploadPolicy(replaces_development=True)), Rejected)


@pytest.mark.parametrize("status", ProjectStatus)
def test_projects_that_take_no_uploads(status: ProjectStatus) -> None:
    """Case 44, PEP 792: archived and quarantined projects MUST NOT accept uploads."""
    outcome = outcome_of(wheel(version="2.0"), standing_with(wheel(), status=status))
    is_closed = status in {ProjectStatus.ARCHIVED, ProjectStatus.QUARANTINED}
    assert isinstance(outcome, Rejected) == is_closed
    if isinstance(outcome, Rejected):
        assert isinstance(outcome.error, UploadRefused)


def test_who_may_not_make_projects_may_add_to_them() -> None:
    assert isinstance(outcome_of(wheel(), may_create=False), Rejected)
    assert isinstance(outcome_of(wheel(), standing_with(), may_create=False), Accepted)


def test_sizes_are_limited() -> None:
    size = len(wheel().content)
    assert isinstance(outcome_of(wheel(), policy=UploadPolicy(max_file_size=size)), Accepted)
    assert "takes" in issues_of(outcome_of(wheel(), policy=UploadPolicy(max_file_size=size - 1)))
    standing = standing_with(sdist())
    total = size + len(sdist().content)
    assert isinstance(outcome_of(wheel(), standing, UploadPolicy(max_project_size=total)), Accepted)
    assert "project would have" in issues_of(outcome_of(wheel(), standing, UploadPolicy(max_project_size=total - 1)))


def test_local_versions_and_platforms_may_be_unwanted() -> None:
    local = wheel(version="1.0+cu124")
    assert isinstance(outcome_of(local), Accepted)
    assert "local" in issues_of(outcome_of(local, policy=UploadPolicy(takes_local_versions=False)))
    allowed = UploadPolicy(platform_tags=TagPatterns.compile(["manylinux_*"]))
    assert "platform 'any'" in issues_of(outcome_of(wheel(), policy=allowed))
    assert isinstance(outcome_of(wheel(), policy=UploadPolicy(platform_tags=TagPatterns.compile(["any"]))), Accepted)
    assert isinstance(outcome_of(sdist(), policy=allowed), Accepted)


def test_a_release_has_one_sdist() -> None:
    """Also when its version is written otherwise: 1.0 and 1.0.0 are one release (case 47)."""
    assert "has the sdist" in issues_of(outcome_of(sdist(version="1.0.0"), standing_with(sdist(version="1.0"))))
    assert isinstance(outcome_of(sdist(version="1.0.1"), standing_with(sdist(version="1.0"))), Accepted)
    assert isinstance(outcome_of(wheel(), standing_with(sdist())), Accepted)


SPELLINGS = [
    ("proj_x-1.0-py3-none-any.whl", "Proj_X-1.0-py3-none-any.whl"),
    ("proj_x-1.0-py3-none-any.whl", "proj.x-1.0-py3-none-any.whl"),
    ("proj_x-1.0-py3-none-any.whl", "proj_x-1.0.0-py3-none-any.whl"),
    ("proj_x-1.0-1-py3-none-any.whl", "proj_x-1.0-01-py3-none-any.whl"),
    ("proj_x-1.0-py2.py3-none-any.whl", "proj_x-1.0-py3.py2-none-any.whl"),
    ("proj_x-1.0-py3-none-any.whl", "proj_x-1.0-PY3-none-any.whl"),
]


@pytest.mark.parametrize(("name", "respelled"), SPELLINGS)
def test_a_name_that_is_spelled_otherwise_is_the_same(name: str, respelled: str) -> None:
    """One file for each project, version, build and tags, listed or deleted: an installer may take either."""
    content = wheel("proj-x", "1.0").content
    listed, other = (Upload(one, content, "proj-x", "1.0") for one in (name, respelled))
    file = held(listed, parse_name("proj-x"))
    project = HostedProject(name=parse_name("proj-x"), serial=1)
    outcome = outcome_of(changed(other), Standing(project=project, files=(file,)))
    assert isinstance(outcome, Rejected)
    assert isinstance(outcome.error, FileExistsDiffers)
    assert name in outcome.error.message
    gone = Standing(project=project, deleted=(parse_safe_filename(name),))
    assert "was deleted" in issues_of(outcome_of(other, gone))
    assert "was deleted" in issues_of(outcome_of(listed, gone))


def test_another_build_or_other_tags_are_another_file() -> None:
    content = wheel("proj-x", "1.0").content
    names = ["proj_x-1.0-py3-none-any.whl", "proj_x-1.0-1-py3-none-any.whl", "proj_x-1.0-py2.py3-none-any.whl"]
    project = HostedProject(name=parse_name("proj-x"), serial=1)
    for name in names:
        others = [Upload(one, content, "proj-x", "1.0") for one in names if one != name]
        files = tuple(held(one, parse_name("proj-x")) for one in others)
        standing = Standing(project=project, files=files, deleted=(parse_safe_filename("proj_x-1.0.tar.gz"),))
        assert isinstance(outcome_of(Upload(name, content, "proj-x", "1.0"), standing), Accepted)


def test_a_deleted_sdist_is_not_replaced_by_one_that_is_spelled_otherwise() -> None:
    for upload in (sdist(version="1.0.0"), Upload("Ours-1.0.tar.gz", sdist().content, "ours", "1.0")):
        gone = Standing(project=HostedProject(name=OURS, serial=1), deleted=(parse_safe_filename(sdist().filename),))
        assert "was deleted" in issues_of(outcome_of(upload, gone))


def test_a_development_release_is_replaced_under_its_own_name_only() -> None:
    policy = UploadPolicy(replaces_development=True)
    upload = wheel(version="1.0.dev3")
    respelled = Upload("Ours-1.0.dev3-py3-none-any.whl", upload.content, "ours", "1.0.dev3")
    assert isinstance(outcome_of(respelled, standing_with(upload), policy), Rejected)


def test_a_wheel_whose_name_pip_cannot_read_is_refused() -> None:
    """PEP 427: in the name of a wheel one underscore stands for a run of them; uv alone takes two."""
    upload = wheel("our-s", "1.0")
    respelled = Upload(upload.filename.replace("our_s", "our__s"), upload.content, upload.name, upload.version)
    assert isinstance(outcome_of(upload), Accepted)
    assert "Invalid project name" in issues_of(outcome_of(respelled))


def test_eggs_come_only_the_way_that_is_for_them() -> None:
    upload = egg()
    received = received_of(upload)
    for takes_eggs, kind in ((True, Accepted), (False, Rejected)):
        form = UploadForm(filename=upload.filename, takes_eggs=takes_eggs)
        assert isinstance(decide(form, received, EMPTY, UploadPolicy(), may_create=True), kind)
    listed = standing_with(sdist(), wheel())
    form = UploadForm(filename=upload.filename, takes_eggs=True)
    assert isinstance(decide(form, received, listed, UploadPolicy(), may_create=True), Accepted)


@pytest.mark.parametrize(
    "lines",
    [
        b"X-A: b\n" * 1_100_000,
        b"".join(b"X-%d: b\n" % number for number in range(300)),
        b"Classifier: a\n" * 20_000,
        b"Requires-Dist: a\n" * 215_000,
        b"Summary: a\n" + b" b\n" * 60_000,
        b"Keywords: " + b"a" * (3 << 20) + b"\n",
        b"X-A: b\r" * 1_100_000,
    ],
    ids=["fields", "kinds", "classifiers", "requirements", "folded", "bytes", "carriage-returns"],
)
def test_metadata_with_more_than_anything_real_is_not_read(lines: bytes) -> None:
    """A wheel of 12 KB can unpack to a million lines, each of which costs time and memory."""
    declared, issues = read_declared(b"Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n" + lines, "METADATA")
    assert declared is None
    assert "which no real one needs" in issues[0]


def test_metadata_as_large_as_real_ones_is_taken() -> None:
    """Two thousand fields, and a description of megabytes, which may even stand among them."""
    head = b"Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n"
    fields = b"".join(b"Provides-Extra: e%d\nRequires-Dist: b%d>=1; extra == 'e%d'\n" % (n, n, n) for n in range(1000))
    for body in (
        head + fields + b"\n" + b"A line of a description: it has a colon\n" * 100_000,
        head + fields.replace(b"\n", b"\r\n") + b"\r\n" + b"text\r\n" * 100_000,
        head + b"Description: first\n" + b"        another line of what very old tools wrote\n" * 20_000 + fields,
    ):
        declared, issues = read_declared(body, "METADATA")
        assert issues == ()
        assert declared is not None
        assert declared.version.public == "1.0"


def test_the_project_tells_where_an_old_name_divides() -> None:
    """Case 48: the project tells where an old name divides."""
    upload = sdist("foo-bar", "1.0.post1")
    renamed = Upload("foo-bar-1.0-1.tar.gz", upload.content, "foo-bar", "1.0.post1")
    assert isinstance(outcome_of(renamed), Accepted)
    stranger = Upload("foo-bar-1.0-1.tar.gz", sdist("foo", "1.0.post1").content, "foo", "1.0.post1")
    assert "file name" in issues_of(outcome_of(stranger))


def test_old_actions() -> None:
    """Case 66: old actions."""
    with pytest.raises(ActionGone):
        read_form([(":action", "submit")], "x")


def test_a_field_that_matters_is_given_once() -> None:
    with pytest.raises(InvalidUpload, match="name more than once"):
        read_form([*wheel().fields(), ("name", "theirs")], wheel().filename)
    read_form([*wheel().fields(), ("classifiers", "a"), ("classifiers", "b")], wheel().filename)


@pytest.mark.parametrize(
    ("line", "issue"),
    [
        ("Requires-Dist: b>=1.0.*", "is not valid"),
        ("Requires-Dist: b>0.5<2", "is not valid"),
        ("Requires-Dist: b @ https://files.example/b.whl", "names a URL"),
        ("Requires-Dist: b @ git+https://files.example/b", "names a URL"),
        ("Requires-Dist: b; 'x' in extras", "marker that cannot be read"),
        ("Requires-Dist: b; unheard_of == '1'", ""),
        ("Requires-Dist: ???", "cannot be read"),
        ("Requires-Python: latest", "not a version specifier"),
        ("Requires-Python: " + ",".join(["!=3.1"] * 1000), "not a version specifier"),
        ("Requires-Python: >=3\nRequires-Python: >=4", "more than once"),
        ("Provides-Extra: a b", "not a name"),
        ("Name: theirs", "more than once"),
        ("Version: 2", "more than once"),
    ],
)
def test_metadata_is_held_to_the_standard(line: str, issue: str) -> None:
    """Case 53: index servers should be strict where mirrors are lenient."""
    body = f"Metadata-Version: 2.4\nName: ours\nVersion: 1.0\n{line}\n\nText".encode()
    _, issues = read_declared(body, "METADATA")
    assert issues
    assert issue in "; ".join(issues)


@pytest.mark.parametrize(
    "line",
    [
        "Requires-Dist: b (>=1)",
        "Requires-Dist: b[x,y]>=1,<2; python_version < '3.12' and extra == 'A_b'",
        "Requires-Python: >=3.8,!=3.9.*",
        "Provides-Extra: A_b",
        "License-Expression: MIT",
        "Dynamic: description",
        "Unheard-Of: yes",
        "Classifier: Private :: Do Not Upload",
    ],
)
def test_what_the_standard_allows_is_taken(line: str) -> None:
    declared, issues = read_declared(f"Metadata-Version: 2.4\nName: ours\nVersion: 1.0\n{line}\n".encode(), "METADATA")
    assert issues == ()
    assert declared is not None
    assert declared.name == "ours"


@pytest.mark.parametrize("version", ["2.0", "3.0", "2.99", "", "x"])
def test_unknown_metadata_versions(version: str) -> None:
    _, issues = read_declared(f"Metadata-Version: {version}\nName: ours\nVersion: 1.0\n".encode(), "METADATA")
    assert "Metadata-Version" in "; ".join(issues)


def test_license_files_must_be_there() -> None:
    """PEP 639: from Metadata-Version 2.4 on."""
    metadata = b"Metadata-Version: 2.4\nName: ours\nVersion: 1.0\nLicense-File: LICENSE\n"
    form = read_form(wheel().fields(), wheel().filename)
    for path, is_there in (("ours-1.0.dist-info/licenses/LICENSE", True), ("ours-1.0.dist-info/LICENSE", False)):
        declared, _ = read_declared(metadata, "METADATA")
        archive = ArchiveFacts(metadata=metadata, declared=declared, paths=frozenset({path}), faults=())
        received = msgspec.structs.replace(received_of(wheel()), archive=archive)
        outcome = decide(form, received, EMPTY, UploadPolicy(), may_create=True)
        assert isinstance(outcome, Accepted) == is_there


texts = st.text(max_size=40) | st.sampled_from(["ours", "1.0", "UNKNOWN", "", "\0", "a" * 5000])


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["action", "protocol_version", "name", "version", "filetype", "pyversion", "md5_digest", "attestations"]
        ),
        texts | st.none(),
    ),
    st.text(max_size=60) | st.sampled_from([wheel().filename, sdist().filename]),
    st.binary(max_size=200) | st.sampled_from([wheel().content, sdist().content]),
)
def test_whatever_comes_is_decided(fields: dict[str, str | None], filename: str, content: bytes) -> None:
    """No form, name or content makes the decision fail; and what is accepted is one part of a path."""
    upload = Upload(filename, content, "ours", "1.0")
    try:
        outcome = outcome_of(upload, fields=fields)
    except (InvalidUpload, ActionGone):
        return
    if isinstance(outcome, Accepted):
        assert content in {wheel().content, sdist().content}
        assert re.fullmatch(r"[A-Za-z0-9_.+!-]+", outcome.filename)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=300))
def test_no_metadata_makes_the_reading_fail(body: bytes) -> None:
    declared, issues = read_declared(b"Metadata-Version: 2.1\nName: ours\n" + body, "METADATA")
    assert declared is not None or issues


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.sampled_from(ProjectStatus), st.booleans())
def test_more_rules_never_accept_more(limit: int, takes_local: bool, status: ProjectStatus, may_create: bool) -> None:
    """Whatever a stricter policy accepts, one without rules accepts."""
    upload = wheel(version="1.0+x")
    standing = standing_with(status=status)
    strict = outcome_of(
        upload, standing, UploadPolicy(max_file_size=limit, takes_local_versions=takes_local), may_create=may_create
    )
    if isinstance(strict, Accepted):
        assert isinstance(outcome_of(upload, standing), Accepted)


def test_a_file_that_joins_a_yanked_release_is_yanked() -> None:
    """PEP 592, as indexes have it: a yank is of the whole release."""
    standing = standing_with(sdist(), wheel(version="1.1"))
    yanked = msgspec.structs.replace(standing.files[0], yanked="it breaks")
    standing = msgspec.structs.replace(standing, files=(yanked, standing.files[1]))
    for upload, expected in ((wheel(), "it breaks"), (sdist(version="1.1"), False)):
        outcome = outcome_of(upload, standing)
        assert isinstance(outcome, Accepted)
        assert outcome.yanked == expected


def test_the_project_is_the_one_that_the_file_names() -> None:
    """Rights are asked for what the file is, whatever the form beside it says."""
    form = read_form(wheel().fields(name="theirs"), wheel().filename)
    assert named_project(form, received_of(wheel()).archive) == "ours"
    nothing = ArchiveFacts(metadata=None, paths=frozenset(), faults=("broken",))
    assert named_project(form, nothing) == "theirs"

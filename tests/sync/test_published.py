"""What is published: pages by the book, `.metadata` byte for byte, and paths made of the content's digest."""

from __future__ import annotations

import hashlib
import io
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Mirror, files_below, page_in, pypim
from tests.worlds import faults
from tests.worlds.world import World, project, release, sdist, wheel

WORLD = World.of(
    project(
        "My.App_X",
        release("1.0", yanked='broken "badly" <&>', upload_time="2024-02-03T04:05:06.789000Z"),
        release("1!2.0+local.1", wheel(), sdist(), requires_python=">=3.8,!=3.9.*", requires=["lib"]),
    ),
    project("lib", release("1.0", wheel(build="3")), status="archived", status_reason='use <other> & "more"'),
)


class Anchors(HTMLParser):
    """The links of a page, and its meta elements."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.links: list[tuple[dict[str, str | None], str]] = []
        self.metas: dict[str, str | None] = {}
        self.declaration = ""
        self.feed(text)

    def handle_decl(self, decl: str) -> None:
        self.declaration = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links.append((dict(attrs), ""))
        if tag == "meta" and (name := dict(attrs).get("name")):
            self.metas[name] = dict(attrs).get("content")

    def handle_data(self, data: str) -> None:
        if self.links and data.strip():
            attributes, text = self.links[-1]
            self.links[-1] = (attributes, text + data)


def synced(serve: ServeWorld, tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    arguments = ("my-app-x==1.0", "my-app-x", "--upstream", serve(WORLD).url, *LINUX_OPTIONS)
    pypim("sync", *arguments, "--format", "wheel", "--format", "sdist", "--to", folder).expect()
    return folder


def test_every_file_is_under_its_digest_and_has_its_bytes(serve: ServeWorld, tmp_path: Path) -> None:
    """`packages/aa/bb/<60 hex>/<filename>`: BLAKE2b-256 of the content, split 2/2/60."""
    folder = synced(serve, tmp_path)
    found = {path: content for path, content in files_below(folder).items() if path.startswith("packages/")}
    assert {path.rpartition("/")[2] for path in found if not path.endswith(".metadata")} == {
        file.filename for file in WORLD.files
    }
    for path, content in found.items():
        if not path.endswith(".metadata"):
            digest = hashlib.blake2b(content, digest_size=32).hexdigest()
            filename = path.rpartition("/")[2]
            assert path == f"packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{filename}"
            assert content == WORLD.file(filename).content


def test_metadata_is_the_wheels_own_byte_for_byte(serve: ServeWorld, tmp_path: Path) -> None:
    """`.metadata` for every wheel (byte-identical to the wheel's METADATA), and for nothing else."""
    found = files_below(synced(serve, tmp_path))
    beside = {path for path in found if path.endswith(".metadata")}
    assert beside == {f"{path}.metadata" for path in found if path.endswith(".whl")}
    for path in beside:
        with zipfile.ZipFile(io.BytesIO(found[path.removesuffix(".metadata")])) as archive:
            (name,) = (entry for entry in archive.namelist() if entry.endswith(".dist-info/METADATA"))
            assert archive.read(name) == found[path]


def test_json_pages_follow_the_specification(serve: ServeWorld, tmp_path: Path) -> None:
    """Simple API 1.4: PEP 691, 700 (sizes, versions, upload-time), 714 (core-metadata), 792 (status)."""
    folder = synced(serve, tmp_path)
    page = page_in(folder, "my-app-x")
    assert page["meta"]["api-version"] == "1.4"
    assert page["name"] == "my-app-x"
    assert sorted(page["versions"]) == ["1!2.0+local.1", "1.0"]
    assert page.get("project-status", {"status": "active"}) == {"status": "active"}
    assert page_in(folder, "lib")["project-status"] == {"status": "archived", "reason": 'use <other> & "more"'}
    files = {file["filename"]: file for file in page["files"]}
    for filename, file in files.items():
        truth = WORLD.file(filename)
        assert file["hashes"]["sha256"] == truth.sha256
        assert file["size"] == truth.size
        assert file["upload-time"] == truth.upload_time
        assert file.get("requires-python") == truth.requires_python
        assert file.get("yanked", False) == truth.yanked
        expected = {"sha256": truth.metadata_sha256} if truth.metadata_sha256 else False
        assert file.get("core-metadata", False) == expected
        target = folder / "simple" / "my-app-x" / unquote(file["url"])
        assert target.read_bytes() == truth.content
        assert file["url"].startswith("../../packages/")


def test_html_pages_say_the_same(serve: ServeWorld, tmp_path: Path) -> None:
    """PEP 503, 592, 658, 714, 792: one anchor per file with its name as text and its hash as fragment."""
    folder = synced(serve, tmp_path)
    listing = Anchors((folder / "simple" / "index.html").read_text())
    assert listing.declaration.lower() == "doctype html"
    assert listing.metas["pypi:repository-version"] == "1.4"
    assert [text for _, text in listing.links] == ["lib", "my-app-x"]
    here = "http://mirror.example/simple/"
    assert [urljoin(here, attributes["href"] or "") for attributes, _ in listing.links] == [
        "http://mirror.example/simple/lib/",
        "http://mirror.example/simple/my-app-x/",
    ]
    page = Anchors((folder / "simple" / "my-app-x" / "index.html").read_text())
    assert sorted(text for _, text in page.links) == sorted(file.filename for file in WORLD.files_of("my-app-x"))
    for attributes, filename in page.links:
        truth = WORLD.file(filename)
        parts = urlsplit(urljoin(f"{here}my-app-x/", attributes["href"] or ""))
        assert parts.fragment == f"sha256={truth.sha256}"
        assert (folder / unquote(parts.path).lstrip("/")).read_bytes() == truth.content
        assert attributes.get("data-requires-python") == truth.requires_python
        assert ("data-yanked" in attributes) == (truth.yanked is not False)
        if truth.yanked:
            assert attributes["data-yanked"] == truth.yanked
        if truth.metadata_sha256:
            assert attributes["data-core-metadata"] == f"sha256={truth.metadata_sha256}"
    archived = Anchors((folder / "simple" / "lib" / "index.html").read_text())
    assert archived.metas["pypi:project-status"] == "archived"


def test_two_indexes_publish_two_trees_from_one_store(serve: ServeWorld, mirror: Mirror) -> None:
    """Each has its own selection; the bytes are stored once and linked."""
    mirror.write(
        f'[upstreams.world]\nurl = "{serve(WORLD).url}"\n'
        '[targets.linux]\npython = ["3.12"]\nplatforms = ["linux"]\n'
        '[indexes.one]\ntargets = ["linux"]\npublish = "one"\npackages = { lib = "latest" }\n'
        '[indexes.two]\ntargets = ["linux"]\npublish = "two"\npackages = { My-App-X = "latest" }\n'
    )
    document = mirror.run("sync", "--json").expect().document
    assert [report["index"] for report in document["indexes"]] == ["one", "two"]
    assert [report["fetched_files"] for report in document["indexes"]] == [1, 1]
    path = WORLD.file("lib-1.0-3-py3-none-any.whl").path
    inodes = {(mirror.folder / name / path).stat().st_ino for name in ("data", "one", "two")}
    assert len(inodes) == 1
    assert not (mirror.folder / "one" / "simple" / "my-app-x").exists()


def test_provenance_is_carried(serve: ServeWorld, mirror: Mirror) -> None:
    """PEP 740: where the upstream has it."""
    server = serve(project("app", "1.0"))
    url = "https://index.example/integrity/app/1.0/provenance"
    server.misbehave("/simple/app/", faults.changed_page(lambda page: _first_file(page).update(provenance=url)))
    mirror.configure(server.url, packages={"app": "latest"})
    mirror.sync()
    assert mirror.page("app")["files"][0]["provenance"] == url
    assert url in (mirror.tree / "simple" / "app" / "index.html").read_text()


def _first_file(page: dict[str, object]) -> dict[str, object]:
    files = page["files"]
    assert isinstance(files, list)
    first: dict[str, object] = files[0]
    return first


def test_a_broken_wheel_is_kept_as_it_is_without_core_metadata(serve: ServeWorld, mirror: Mirror) -> None:
    """What the upstream offers with the right hash is mirrored; that it is no wheel is said, and not hidden."""
    world = World.of(project("app", "1.0"))
    broken = WORLD.file("lib-1.0-3-py3-none-any.whl").content[:100]
    silent = {"advertise_metadata": False, "serve_metadata": False, "hashes": "none", "sizes": False}
    server = serve(world, **silent, json_api=False, pypi_shaped=False)
    server.misbehave("*.whl", faults.instead(broken))
    mirror.configure(server.url, packages={"app": "latest"})
    outcome = mirror.run("sync").expect()
    assert "app-1.0-py3-none-any.whl" in outcome.stdout + outcome.stderr
    assert mirror.page("app")["files"][0].get("core-metadata", False) is False

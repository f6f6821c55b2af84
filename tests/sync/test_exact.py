"""Exact input: the files that a lock names are held to the letter, and a pyproject.toml with its extras and groups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ServeWorld
from tests.sync.mirror import LINUX_OPTIONS, Mirror, added, published_in, pypim, sentences, wheels
from tests.worlds.world import World, legacy, project, release, sdist, wheel

WORLD = World.of(
    project("app", release("1.0", wheel(), sdist(), requires=["lib"]), release("2.0", requires=["lib"])),
    project("lib", release("1.0", wheel("py3-none-win_amd64"), sdist(), yanked="broken"), "2.0"),
    project("more", release("1.0rc1"), "1.0"),
    project("eggs", release("1.0", legacy("egg"), wheel())),
)
LOCKED = {
    "app": ["app-1.0-py3-none-any.whl", "app-1.0.tar.gz"],
    "lib": ["lib-1.0-py3-none-win_amd64.whl", "lib-1.0.tar.gz"],
}


def poetry(world: World, **filenames: list[str]) -> str:
    """A poetry.lock of the release 1.0 of these projects, with the hashes that a world has."""
    packages = [
        f'[[package]]\nname = "{name}"\nversion = "1.0"\nfiles = [\n'
        + "".join(f'    {{file = "{file}", hash = "sha256:{world.file(file).sha256}"}},\n' for file in files)
        + "]\n"
        for name, files in filenames.items()
    ]
    return "\n".join([*packages, '[metadata]\nlock-version = "2.1"\n'])


def pipfile(*hashes: str, name: str = "lib", version: str = "1.0") -> str:
    """A Pipfile.lock of one package."""
    entry = {name: {"hashes": [f"sha256:{one}" for one in hashes], "version": f"=={version}"}}
    return json.dumps({"_meta": {"pipfile-spec": 6}, "default": entry, "develop": {}})


@pytest.fixture
def url(serve: ServeWorld) -> str:
    return serve(WORLD).url


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_a_lock_is_taken_literally(mirror: Mirror, url: str) -> None:
    """Yanked files and those that no target can use are held; what the files require is not followed."""
    write(mirror.folder, "poetry.lock", poetry(WORLD, **LOCKED))
    mirror.configure(url, requirements=["poetry.lock"])
    mirror.sync()
    assert mirror.published() == LOCKED
    assert [file["yanked"] for file in mirror.page("lib")["files"]] == ["broken", "broken"]
    assert mirror.sync()["outcome"] == "unchanged"
    why = mirror.run("why", "lib").expect().stdout
    assert "poetry.lock" in why
    assert "lib==1.0" in why


def test_why_not_tells_that_a_lock_is_complete(mirror: Mirror, url: str) -> None:
    """What a locked release requires and the lock does not name is not wanted; another sync does not change that."""
    write(mirror.folder, "poetry.lock", poetry(WORLD, app=LOCKED["app"]))
    mirror.configure(url, requirements=["poetry.lock"])
    mirror.sync()
    told = mirror.run("why-not", "lib").stdout
    assert "app 1.0 requires 'lib', and of a lock only the files that it names are held" in told


def test_a_lock_and_other_roots_are_held_side_by_side(mirror: Mirror, url: str) -> None:
    write(mirror.folder, "poetry.lock", poetry(WORLD, lib=["lib-1.0.tar.gz"]))
    mirror.configure(url, requirements=["poetry.lock"], packages={"app": "latest"})
    mirror.sync()
    assert mirror.published() == {"app": wheels("app 2.0"), "lib": ["lib-1.0.tar.gz", *wheels("lib 2.0")]}


@pytest.mark.parametrize(
    ("lock", "expected"),
    [
        (
            poetry(WORLD, **LOCKED).replace("lib-1.0.tar.gz", "lib-1.0.zip"),
            "(any more) what the lock names: lib-1.0.zip",
        ),
        (poetry(WORLD, **LOCKED).replace('"1.0"', '"7.0"').replace("1.0", "7.0"), "the upstream has no release 7.0"),
        (poetry(WORLD, **LOCKED).replace('name = "lib"', 'name = "gone"'), "no project named 'gone'"),
        (
            poetry(WORLD, **LOCKED).replace(WORLD.file("lib-1.0.tar.gz").sha256, "a" * 64),
            "the upstream has another hash than the lock for lib-1.0.tar.gz",
        ),
    ],
)
def test_what_the_upstream_no_longer_has_is_named(mirror: Mirror, url: str, lock: str, expected: str) -> None:
    """File gone or hash differs: nothing is fetched, and with --keep-going the rest is mirrored."""
    write(mirror.folder, "poetry.lock", lock)
    mirror.configure(url, requirements=["poetry.lock"])
    error = mirror.refuses(status=3)
    assert expected in error["message"]
    assert "poetry.lock" in error["message"]
    assert not mirror.tree.exists()
    report = mirror.sync("--keep-going", status=1)
    assert report["outcome"] == "partial"
    assert expected in sentences(report["problems"])
    if "7.0" not in expected:
        assert mirror.published()["app"] == LOCKED["app"]


def test_hashes_without_names_pick_the_files_of_their_release(mirror: Mirror, url: str) -> None:
    """Pipfile.lock has hashes only: `==version`, and the files that have one of them."""
    sha256 = WORLD.file("lib-1.0-py3-none-win_amd64.whl").sha256
    write(mirror.folder, "Pipfile.lock", pipfile(sha256))
    mirror.configure(url, requirements=["Pipfile.lock"])
    mirror.sync()
    assert mirror.published() == {"lib": ["lib-1.0-py3-none-win_amd64.whl"]}
    write(mirror.folder, "Pipfile.lock", pipfile(sha256, "a" * 64))
    assert f"what the lock names: a file with the hash sha256:{'a' * 64}" in mirror.refuses(status=3)["message"]
    write(mirror.folder, "Pipfile.lock", pipfile(WORLD.file("more-1.0rc1-py3-none-any.whl").sha256))
    assert "what the lock names: a file with the hash" in mirror.refuses(status=3)["message"]


def test_a_lock_without_hashes_and_names_means_all_files_of_its_release(mirror: Mirror, url: str) -> None:
    write(mirror.folder, "Pipfile.lock", pipfile())
    mirror.configure(url, requirements=["Pipfile.lock"])
    mirror.sync()
    assert mirror.published() == {"lib": LOCKED["lib"]}


@pytest.mark.parametrize("lock", ["poetry.lock", "Pipfile.lock"])
def test_bytes_are_compared_where_the_index_tells_no_hashes(mirror: Mirror, serve: ServeWorld, lock: str) -> None:
    """An index without hashes is believed in nothing: what came is compared with the lock, whoever else wants it."""
    server = serve(WORLD, hashes="none", json_api=False, pypi_shaped=False)
    name = "more-1.0rc1-py3-none-any.whl"
    text = poetry(WORLD, more=[name]).replace('"1.0"', '"1.0rc1"')
    if lock == "Pipfile.lock":
        text = pipfile(WORLD.file(name).sha256, name="more", version="1.0rc1")
    mirror.configure(server.url, requirements=[lock], packages={"more": "1.0rc1"})
    write(mirror.folder, lock, text.replace(WORLD.file(name).sha256, "a" * 64))
    mirror.refuses(status=7)
    write(mirror.folder, lock, text)
    mirror.sync()
    assert mirror.published() == {"more": [name]}


def test_only_filters_take_files_of_a_lock_away(mirror: Mirror, url: str) -> None:
    """They were set on purpose, so it is told only where nothing is left of a release."""
    write(mirror.folder, "poetry.lock", poetry(WORLD, **LOCKED, eggs=["eggs-1.0-py2.7.egg", *wheels("eggs 1.0")]))
    mirror.configure(url, requirements=["poetry.lock"], filters={"formats": ["wheel"], "exclude": ["app"]})
    report = mirror.sync()
    assert mirror.published() == {"eggs": wheels("eggs 1.0"), "lib": ["lib-1.0-py3-none-win_amd64.whl"]}
    assert [(problem["project"], problem["is_certain"]) for problem in report["problems"]] == [("app", False)]
    mirror.configure(url, requirements=["poetry.lock"], filters={"exclude": ["lib<2"]})
    assert (
        'every file that the lock names is taken away: filters.exclude: "lib<2"' in mirror.refuses(status=4)["message"]
    )


def test_sizes_are_asked_for_where_the_index_tells_none(mirror: Mirror, serve: ServeWorld) -> None:
    """`max-file-size` judges the files of a lock, too."""
    world = World.of(project("app", release("1.0", wheel(payload=9000), wheel("py2-none-any"))))
    server = serve(world, format="html_only", sizes=False)
    names = sorted(file.filename for file in world.files)
    write(mirror.folder, "poetry.lock", poetry(world, app=names))
    mirror.configure(server.url, requirements=["poetry.lock"], filters={"max-file-size": "5 kB"})
    mirror.sync()
    assert mirror.published() == {"app": ["app-1.0-py2-none-any.whl"]}


def test_what_a_lock_does_not_tell_of_an_sdist_is_said(mirror: Mirror, url: str) -> None:
    """No lock names what builds a package; where one has wheels, that is of no concern."""
    write(mirror.folder, "poetry.lock", poetry(WORLD, app=["app-1.0.tar.gz"], lib=LOCKED["lib"]))
    mirror.configure(url, requirements=["poetry.lock"])
    report = mirror.sync()
    assert report["warnings"] == [
        "app 1.0: an sdist only, and a lock does not tell what builds it: name that beside the lock"
    ]
    assert sorted(mirror.published()) == ["app", "lib"]


def test_constraints_do_not_change_a_lock(mirror: Mirror, url: str) -> None:
    write(mirror.folder, "constraints.txt", "lib>=2\n")
    write(mirror.folder, "requirements.txt", "-c constraints.txt\n")
    write(mirror.folder, "poetry.lock", poetry(WORLD, **LOCKED))
    mirror.configure(url, requirements=["requirements.txt", "poetry.lock"])
    mirror.sync()
    assert mirror.published() == LOCKED


def test_what_comes_from_no_index_is_noted(mirror: Mirror, url: str) -> None:
    lock = poetry(WORLD, more=["more-1.0-py3-none-any.whl"])
    other = (
        '[[package]]\nname = "x"\nversion = "1"\nfiles = []\n[package.source]\ntype = "git"\nurl = "https://me:pw@x"\n'
    )
    path = write(mirror.folder, "poetry.lock", other + lock)
    done = mirror.configure(url, requirements=["poetry.lock"]).run("sync").expect()
    assert f"{path}: passed over, for it comes from no index: x (git)" in done.stderr
    assert "pw" not in done.stderr


PYPROJECT = """\
[project]
name = "mine"
dependencies = ["app<2"]
[project.optional-dependencies]
more = ["more"]
[dependency-groups]
test = ["eggs"]
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-r", "pyproject.toml"], "app 1.0 lib 2.0"),
        (["-r", "pyproject.toml[more]"], "app 1.0 lib 2.0 more 1.0"),
        (["-r", "pyproject.toml[*]", "--group", "test"], "app 1.0 eggs 1.0 lib 2.0 more 1.0"),
        (["--group", "test"], "eggs 1.0"),
        (["--group", "./pyproject.toml:test"], "eggs 1.0"),
        (["-r", "pyproject.toml:test"], "eggs 1.0"),
    ],
)
def test_a_pyproject_on_the_command_line_is_remembered(
    tmp_path: Path, url: str, options: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--group [PATH:]NAME` as for pip; `sync --to DIR` repeats what it was told."""
    write(tmp_path, "pyproject.toml", PYPROJECT)
    monkeypatch.chdir(tmp_path)
    pypim("sync", *options, "--to", "m", "--upstream", url, *LINUX_OPTIONS).expect()
    words = expected.split()
    names = wheels(*(f"{name} {version}" for name, version in zip(words[::2], words[1::2], strict=True)))
    assert sorted(name for files in published_in(tmp_path / "m").values() for name in files) == names
    write(tmp_path, "pyproject.toml", PYPROJECT.replace("eggs", "eggs==1.0").replace("app<2", "app"))
    monkeypatch.chdir("/")
    pypim("sync", "--to", tmp_path / "m").expect()
    has_app = "app" in expected
    assert ("app-2.0-py3-none-any.whl" in str(published_in(tmp_path / "m"))) is has_app


def test_a_pyproject_in_the_configuration(mirror: Mirror, url: str) -> None:
    write(mirror.folder, "pyproject.toml", PYPROJECT)
    mirror.configure(url, requirements=["pyproject.toml[more]", "pyproject.toml:test"])
    assert added(mirror.plan()) == wheels("app 1.0", "eggs 1.0", "lib 2.0", "more 1.0")
    shown = mirror.run("config", "show").expect().stdout
    assert f'"{mirror.folder}/pyproject.toml[more]", "{mirror.folder}/pyproject.toml:test"' in shown.replace(
        "\n    ", " "
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--group", "nothing"], "there is no dependency group 'nothing'. Groups of this file: test."),
        (["--group", "no.toml:x"], "PATH has to end in pyproject.toml"),
        (["--group", "no/pyproject.toml:x"], "no/pyproject.toml: no such file"),
        (["--group", "a b"], "'a b' is not a project name"),
        (["-r", "pyproject.toml[nothing]"], "there is no extra 'nothing'. Extras of this project: more."),
        (["-r", "no/pyproject.toml[nothing]"], "does not exist"),
        (["-r", "uv.lock[dev]"], "only pyproject.toml has extras and groups"),
        (["-r", "uv.lock"], "uv.lock:1: version: the format has version 9, and this pypim reads it up to 1.x."),
    ],
)
def test_what_cannot_be_read_is_one_message(
    tmp_path: Path, url: str, arguments: list[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "pyproject.toml", PYPROJECT)
    write(tmp_path, "uv.lock", "version = 9\n")
    monkeypatch.chdir(tmp_path)
    done = pypim("sync", *arguments, "--to", "m", "--upstream", url).expect(2)
    assert expected in done.stderr
    assert "config check" not in done.stderr, "there is nothing yet that it could check"
    assert not (tmp_path / "m").exists()

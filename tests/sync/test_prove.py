"""`prove`: every root release on every target is resolved from what the index holds, and what fails is explained."""

from __future__ import annotations

import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from packaging.pylock import Pylock, is_valid_pylock_path

from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, Outcome, pypim, stamps_below
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.world import FileSpec, World, project, release, sdist, wheel

# The newest of everything contradicts itself: only the older `left` goes with `right`.
CONFLICT = World.of(
    project("app", "1.0", requires=["left", "right"]),
    project("left", release("1.0", requires=["base>=2"]), release("2.0", requires=["base<2"])),
    project("right", "1.0", requires=["base>=2"]),
    project("base", "1.0", "2.0"),
)
OLDER_WILL_DO = World.of(project("app", release("1.0"), release("2.0", requires=["nobody-has-it"])))
NEWEST = {"dependencies": {"versions": "newest"}}
APP: Document = {"packages": {"app": "latest"}}


def proofs(outcome: Outcome) -> dict[str, Document]:
    """ "project version" and, where there are several, the environment → what was found."""
    (report,) = outcome.document["indexes"]
    found = report["proofs"]
    several = len({proof["environment"] for proof in found}) > 1
    return {
        f"{proof['project']} {proof['version']}".strip() + (f" on {proof['environment']}" if several else ""): proof
        for proof in found
    }


def states(outcome: Outcome) -> dict[str, str]:
    return {name: proof["state"] for name, proof in proofs(outcome).items()}


def notes(outcome: Outcome) -> list[str]:
    (report,) = outcome.document["indexes"]
    found: list[str] = report["notes"]
    return found


def prove(mirror: Mirror, *arguments: str | Path, status: int = 0) -> Outcome:
    outcome = mirror.run("prove", "--json", *arguments)
    assert outcome.status == status, f"{outcome.stdout}\n{outcome.stderr}"
    return outcome


def close(server: WorldServer) -> None:
    """From now on nothing can be asked of the upstream."""
    server.misbehave("*", faults.no_answer())
    server.forget_requests()


# --- what can be installed ------------------------------------------------------------------------------------------
def test_what_is_mirrored_completely_is_proved_without_the_upstream(serve: ServeWorld, mirror: Mirror) -> None:
    """Nothing is asked of anybody, and nothing on disk changes."""
    server = serve(CONFLICT)
    mirror.configure(server.url, **APP)
    mirror.sync()
    before = stamps_below(mirror.folder)
    close(server)
    outcome = prove(mirror)
    assert states(outcome) == {"app 1.0": "installable"}
    assert proofs(outcome)["app 1.0"] == {
        "root": "latest",
        "origin": "packages.app",
        "project": "app",
        "version": "1.0",
        "environment": "linux cpython 3.12 linux",
        "target": "linux",
        "state": "installable",
        "reading": "both",
        "reason": "",
        "cause": None,
        "explanation": "",
        "remedy": "",
        "open_sdists": [],
    }
    assert not server.requests
    assert {path: stamp for path, stamp in stamps_below(mirror.folder).items() if "catalog" not in path} == {
        path: stamp for path, stamp in before.items() if "catalog" not in path
    }


def test_the_table_has_a_row_for_each_root_release_and_a_column_for_each_target(
    serve: ServeWorld, mirror: Mirror
) -> None:
    world = CONFLICT.having(project("win", release("1.0", wheel("py3-none-win_amd64"))))
    targets = {"all": {"python": ["3.12"], "platforms": ["linux", "windows"]}}
    mirror.configure(
        serve(world).url, targets=targets, packages={"base": "2 latest", "win": "latest", "base[x]": "1.0"}
    )
    mirror.sync()
    text = mirror.run("prove").expect().stdout
    rows = [line.split() for line in text.splitlines()]
    assert ["base", "2", "latest", "1.0", "ok", "ok"] in rows
    assert ["base", "2", "latest", "2.0", "ok", "ok"] in rows
    assert ["base[x]", "1.0", "1.0", "ok", "ok"] in rows, "another root"
    assert ["win", "latest", "none", "impossible"] in rows, "there is no wheel for Linux anywhere"
    assert ["win", "latest", "1.0", "ok"] in rows
    assert "no file of 1.0 fits" in text
    quiet = mirror.run("prove", "-q").expect()
    assert quiet.stdout == text


def test_many_targets_are_numbered(serve: ServeWorld, mirror: Mirror) -> None:
    targets = {"all": {"python": ["3.10", "3.11", "3.12"], "platforms": ["linux", "windows"]}}
    mirror.configure(serve(CONFLICT).url, targets=targets, packages={"base": "latest"})
    mirror.sync()
    text = mirror.run("prove").expect().stdout
    assert "  6: all cpython 3.12 windows" in text
    assert ["root", "release", "1", "2", "3", "4", "5", "6"] in [line.split() for line in text.splitlines()]


def test_patterns_are_proved_for_what_is_held(serve: ServeWorld, mirror: Mirror) -> None:
    """The upstream's list of projects is not asked for."""
    server = serve(CONFLICT)
    mirror.configure(server.url, patterns={"le.*|r.*": "latest"})
    mirror.sync()
    close(server)
    assert states(prove(mirror)) == {"left 2.0": "installable", "right 1.0": "installable"}


def test_requirements_on_the_command_line_are_proved_instead(serve: ServeWorld, mirror: Mirror) -> None:
    """With extras, versions and markers, as `sync` reads them; each takes the newest release that is held."""
    mirror.configure(serve(CONFLICT).url, packages={"app": "latest", "base": "*"})
    mirror.sync()
    asked = ["base<2", "left", "right ; sys_platform == 'win32'", "base==3"]
    outcome = prove(mirror, *asked)
    assert states(outcome) == {"base 1.0": "installable", "left 1.0": "installable", "base": "impossible"}
    assert proofs(outcome)["base"]["root"] == "base==3"
    assert mirror.run("prove", "ba se").expect(2).status == 2


def test_a_root_that_is_new_in_the_configuration_is_not_held(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(CONFLICT)
    mirror.configure(server.url, packages={"base": "latest"})
    mirror.sync()
    mirror.configure(server.url, packages={"base": "latest", "left": "latest"})
    outcome = prove(mirror, status=9)
    assert states(outcome) == {"base 2.0": "installable", "left": "fails"}
    assert proofs(outcome)["left"]["cause"] == "not-held"
    assert "left 2.0" in proofs(outcome)["left"]["explanation"]


def test_before_the_first_sync_there_is_nothing_to_prove(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(CONFLICT).url, **APP)
    assert "pypim sync" in mirror.run("prove", "--json").expect(3).error["hint"]


def test_a_mirror_without_a_configuration_is_proved_with_to(serve: ServeWorld, tmp_path: Path) -> None:
    pypim("sync", "app", "--to", tmp_path / "m", "--upstream", serve(CONFLICT).url).expect()
    outcome = pypim("prove", "--to", tmp_path / "m", "--json").expect()
    assert states(outcome) == {"app 1.0": "installable"}
    assert "prove" in pypim("prove", "--help").expect().stdout


# --- what fails, and why --------------------------------------------------------------------------------------------
def test_what_only_newest_lacks_is_named(serve: ServeWorld, mirror: Mirror) -> None:
    """Exit status 9: the upstream can satisfy it. Which requirements conflict, and what the index has not."""
    mirror.configure(serve(CONFLICT).url, **APP, **NEWEST)
    mirror.sync()
    proof = proofs(prove(mirror, status=9))["app 1.0"]
    assert (proof["state"], proof["cause"]) == ("fails", "not-held")
    assert "left 2.0 requires base<2" in proof["reason"]
    assert "right 1.0 requires base>=2" in proof["reason"]
    assert "left 1.0" in proof["explanation"]
    assert '"resolve"' in proof["remedy"]
    text = mirror.run("prove").stdout
    assert "FAILS: app 1.0 [linux cpython 3.12 linux]: " in text
    assert "1 of 1 proof failed" in text


@pytest.mark.parametrize(
    ("dependencies", "words"),
    [({"follow": False}, "dependencies.follow"), ({"max_depth": 1}, "dependencies.max-depth = 1")],
)
def test_what_is_not_followed_is_not_held(
    serve: ServeWorld, mirror: Mirror, dependencies: Document, words: str
) -> None:
    mirror.configure(serve(CONFLICT).url, **APP, dependencies=dependencies)
    mirror.sync()
    proof = proofs(prove(mirror, status=9))["app 1.0"]
    assert (proof["state"], proof["cause"]) == ("fails", "not-held")
    assert words in proof["remedy"]


def test_a_file_that_is_gone_is_named_without_the_upstream(serve: ServeWorld, mirror: Mirror) -> None:
    """It is listed, and not on the disk; another file of its release would do as well."""
    server = serve(CONFLICT.having(project("both", release("1.0", wheel(), sdist()))))
    mirror.configure(server.url, packages={"app": "latest", "both": "latest"}, filters={"formats": ["wheel", "sdist"]})
    mirror.sync()
    for name in ("left-1.0*.whl", "both-1.0*.whl"):
        next((mirror.store / "packages").rglob(name)).unlink()
    close(server)
    outcome = prove(mirror, status=9)
    assert states(outcome) == {"app 1.0": "fails", "both 1.0": "installable"}
    proof = proofs(outcome)["app 1.0"]
    assert proof["cause"] == "missing-file"
    assert "left-1.0-py3-none-any.whl" in proof["explanation"]
    assert "is missing" in proof["explanation"]
    assert proof["remedy"] == "`pypim verify --repair` fetches it again."
    assert f"`pypim verify --repair -c {mirror.config}`" in mirror.run("prove").stdout
    assert not server.requests


def test_a_file_that_is_gone_where_it_is_published_is_gone(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(CONFLICT).url, **APP)
    mirror.sync()
    next((mirror.tree / "packages").rglob("left-1.0*.whl")).unlink()
    proof = proofs(prove(mirror, status=9))["app 1.0"]
    assert proof["cause"] == "missing-file"
    assert "missing where the index is published" in proof["explanation"]


def test_a_damaged_sidecar_is_made_good_by_the_wheel(serve: ServeWorld, mirror: Mirror) -> None:
    """Core metadata is that of the bytes: what stands beside them counts only as it was stored."""
    mirror.configure(serve(CONFLICT).url, **APP)
    mirror.sync()
    sidecar = next((mirror.store / "packages").rglob("left-1.0*.metadata"))
    sidecar.write_bytes(sidecar.read_bytes().replace(b"base", b"evil"))
    assert states(prove(mirror)) == {"app 1.0": "installable"}


def test_the_filter_that_took_it_away_is_named(serve: ServeWorld, mirror: Mirror) -> None:
    """Of several filters the one without which it works."""
    filters = {"exclude": ["left<2", "right>1"], "keep_latest": 5, "formats": ["wheel"]}
    mirror.configure(serve(CONFLICT).url, **APP, **NEWEST, filters=filters)
    mirror.sync()
    proof = proofs(prove(mirror, status=9))["app 1.0"]
    assert (proof["state"], proof["cause"]) == ("fails", "filter")
    assert 'left 1.0 (filters.exclude: "left<2")' in proof["explanation"]


def test_filters_that_only_together_took_it_away_are_named(serve: ServeWorld, mirror: Mirror) -> None:
    world = CONFLICT.having(
        project("left", release("1.0", sdist(), requires=["base>=2"]), CONFLICT.spec("left").releases[1])
    )
    filters = {"exclude": ["left<2"], "formats": ["wheel"]}
    mirror.configure(serve(world).url, **APP, **NEWEST, filters=filters)
    mirror.sync()
    proof = proofs(prove(mirror, status=9))["app 1.0"]
    assert proof["cause"] == "filter"
    assert "left 1.0 (filters." in proof["explanation"]


def test_a_root_that_a_filter_keeps_out_is_the_filters_fault(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(CONFLICT).url, packages={"app": "latest", "base": "latest"}, filters={"exclude": ["app"]})
    mirror.sync("--keep-going", status=1)
    outcome = prove(mirror, status=9)
    assert states(outcome) == {"app": "fails", "base 2.0": "installable"}
    assert 'filters.exclude: "app"' in proofs(outcome)["app"]["explanation"]


def test_what_cannot_be_installed_from_the_upstream_either_is_told_apart(serve: ServeWorld, mirror: Mirror) -> None:
    """It does not count: exit status 0."""
    world = CONFLICT.having(
        project("bad", "1.0", requires=["base>7"]),
        project("torn", "1.0", requires=["base<2", "right"]),
        project("orphan", "1.0", requires=["nobody-has-it"]),
    )
    mirror.configure(serve(world).url, packages=dict.fromkeys(("bad", "torn", "orphan", "gone", "app"), "latest"))
    mirror.sync("--keep-going", status=1)
    outcome = prove(mirror)
    expected = dict.fromkeys(("bad 1.0", "torn 1.0", "orphan 1.0", "gone"), "impossible")
    assert states(outcome) == {**expected, "app 1.0": "installable"}
    found = proofs(outcome)
    assert "base>7" in found["bad 1.0"]["explanation"]
    assert "torn 1.0 requires base<2" in found["torn 1.0"]["reason"]
    assert "nobody-has-it" in found["orphan 1.0"]["explanation"]
    assert {found[name]["cause"] for name in expected} == {"upstream"}


def test_what_the_upstream_satisfies_by_another_release_fails(serve: ServeWorld, mirror: Mirror) -> None:
    """The held release is impossible everywhere, and the root as it is written is not."""
    server = serve(OLDER_WILL_DO)
    mirror.configure(server.url, packages={"app": "latest"}, **NEWEST)
    mirror.run("sync", "--keep-going").expect(1)
    (proof,) = proofs(prove(mirror, status=9)).values()
    assert (proof["version"], proof["state"], proof["cause"]) == ("2.0", "fails", "not-held")
    assert proof["explanation"].startswith("another release of it would do: ")
    assert "app 1.0" in proof["explanation"]
    mirror.configure(server.url, packages={"app": "==2.0"}, **NEWEST)
    mirror.run("sync", "--keep-going")
    assert states(prove(mirror)) == {"app 2.0": "impossible"}


def test_only_what_fails_asks_the_upstream(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(CONFLICT.having(project("bad", "1.0", requires=["nobody-has-it"]), project("fine", "1.0")))
    mirror.configure(server.url, packages={"bad": "latest", "fine": "latest"})
    mirror.sync("--keep-going", status=1)
    server.forget_requests()
    prove(mirror)
    asked = {request.path.strip("/").split("/")[-1] for request in server.requests}
    assert "bad" in asked
    assert "fine" not in asked


def test_what_only_one_installer_accepts_is_noted(serve: ServeWorld, mirror: Mirror) -> None:
    """pip takes a yanked release that something else pins, uv does not; the mirror holds what either needs."""
    world = World.of(
        project("app", "1.0", requires=["lib==1.0"]), project("lib", release("1.0", yanked="broken"), "2.0")
    )
    mirror.configure(serve(world).url, **APP)
    mirror.sync()
    assert proofs(prove(mirror))["app 1.0"]["reading"] == "pip"
    assert "only pip accepts all the releases" in mirror.run("prove").expect().stdout


def test_a_root_that_is_no_pin_is_proved_without_yanked_files(serve: ServeWorld, mirror: Mirror) -> None:
    """From the upstream, too: that its yanked wheel would do is no fault of the mirror, unless the root pins it."""
    wheels = wheel(requires=["nobody-has-it"]), replace(wheel("cp312-none-any", requires=[]), yanked=True)
    world = World.of(project("app", "1.0", release("2.0", *wheels)))
    mirror.configure(serve(world).url, **APP)
    mirror.sync()
    for judge in ("builtin", "uv"):
        found = prove(mirror, "--with", judge)
        assert states(found) == {"app 1.0": "installable", "app 2.0": "impossible"}
    mirror.configure(serve(world).url, packages={"app": "2.0"})
    mirror.sync()
    assert proofs(prove(mirror))["app 2.0"]["reading"] == "uv"


@pytest.mark.parametrize("is_turned", [False, True])
def test_of_wheels_that_are_alike_each_installer_has_its_own(
    serve: ServeWorld, mirror: Mirror, *, is_turned: bool
) -> None:
    """uv the first by name, pip the last of the page, whose order is kept; the mirror holds what either needs."""
    wheels = [wheel("py2.py3-none-any"), wheel("py3-none-any", requires=["nobody-has-it"])]
    world = World.of(project("app", "1.0", release("2.0", *(wheels[::-1] if is_turned else wheels))))
    mirror.configure(serve(world).url, **APP)
    mirror.sync()
    found = proofs(prove(mirror))
    assert {name: (one["state"], one["reading"]) for name, one in found.items()} == (
        {"app 2.0": ("installable", "both")}
        if is_turned
        else {"app 1.0": ("installable", "both"), "app 2.0": ("installable", "uv")}
    )
    listed = [file["filename"] for file in mirror.page("app")["files"] if "-2.0-" in file["filename"]]
    assert listed == sorted(listed, reverse=is_turned)


def test_a_file_that_never_came_is_named(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(CONFLICT)
    mirror.configure(server.url, **APP)
    server.misbehave("*left-1.0*.whl", faults.status(404))
    mirror.sync("--keep-going", status=1)
    proof = proofs(prove(mirror, status=9))["app 1.0"]
    assert proof["cause"] == "missing-file"
    assert "left-1.0-py3-none-any.whl (it could not be fetched)" in proof["explanation"]
    assert proof["remedy"] == "`pypim sync` fetches it again."


def test_a_project_that_is_excluded_as_a_whole_is_the_filters_fault(serve: ServeWorld, mirror: Mirror) -> None:
    """Not one that is merely not held: no sync would fetch it."""
    server = serve(CONFLICT)
    mirror.configure(server.url, **APP, filters={"exclude": ["base"], "keep_latest": 5})
    mirror.sync()
    proof = proofs(prove(mirror, status=9))["app 1.0"]
    assert (proof["state"], proof["cause"]) == ("fails", "filter")
    assert 'base (filters.exclude: "base")' in proof["explanation"]
    assert proof["remedy"] == 'Take "base" out of filters.exclude.'
    close(server)
    assert proofs(prove(mirror, status=9))["app 1.0"]["cause"] == "filter"


def test_the_lines_of_a_file_are_proved_as_a_whole(serve: ServeWorld, mirror: Mirror) -> None:
    """Installers resolve them together; each line by itself may well be installable when all of them are not."""
    server = serve(CONFLICT)
    mirror.configure(server.url, requirements=["asked.txt"], **NEWEST)
    (mirror.folder / "asked.txt").write_text("left\nright\n")
    mirror.sync()
    outcome = prove(mirror, status=9)
    assert states(outcome) == {"left 2.0": "installable", "right 1.0": "installable", "": "fails"}
    proof = proofs(outcome)[""]
    assert proof["root"] == f"-r {mirror.folder / 'asked.txt'}"
    assert proof["cause"] == "not-held"
    assert "left 1.0" in proof["explanation"]
    rows = [line.split()[-2:] for line in mirror.run("prove").stdout.splitlines()]
    assert ["together", "FAILS"] in rows
    mirror.configure(server.url, requirements=["asked.txt"])
    mirror.sync()
    assert set(states(prove(mirror)).values()) == {"installable"}
    (mirror.folder / "asked.txt").write_text("left>=2\nright\nbase ; sys_platform == 'win32'\n")
    mirror.sync()
    expected = {"left 2.0": "installable", "right 1.0": "installable", "": "impossible"}
    assert states(prove(mirror)) == expected
    close(server)
    assert states(prove(mirror)) == expected, "the last sync has told so"


@pytest.mark.parametrize(
    ("lines", "pythons"),
    [
        (("gone", "gone-too"), ["3.12"]),
        (("gone", "app; python_version > '3.12'"), ["3.12", "3.13"]),
        (("app<1", "app<1; python_version > '3.12'"), ["3.12", "3.13"]),
    ],
)
def test_a_file_of_whose_lines_nothing_is_held_cannot_be_installed(
    serve: ServeWorld, mirror: Mirror, lines: tuple[str, ...], pythons: list[str]
) -> None:
    """Nor where one of its lines is all that counts."""
    targets = {"linux": {"python": pythons, "platforms": ["linux"]}}
    mirror.configure(serve(World.of(project("app", "1.0"))).url, targets=targets, requirements=["requirements.txt"])
    (mirror.folder / "requirements.txt").write_text("\n".join(lines) + "\n")
    mirror.sync("--keep-going", status=1)
    (report,) = prove(mirror).document["indexes"]
    assert {proof["state"] for proof in report["proofs"] if not proof["project"]} == {"impossible"}


@pytest.mark.parametrize(
    ("files", "requirement", "reading"),
    [([replace(wheel(), yanked=True)], "lib==1.0", "pip"), ([wheel()], "lib>=1.0.*", "uv"), ([wheel()], "lib", "both")],
)
def test_a_file_may_be_for_one_installer_alone(
    serve: ServeWorld, mirror: Mirror, files: list[FileSpec], requirement: str, reading: str
) -> None:
    """As its lines by themselves may be."""
    world = World.of(project("app", "1.0", requires=[requirement]), project("lib", release("1.0", *files)))
    mirror.configure(serve(world.having(project("more", "1.0"))).url, requirements=["requirements.txt"])
    (mirror.folder / "requirements.txt").write_text("app\nmore\n")
    mirror.sync()
    found = proofs(prove(mirror))
    assert (found["app 1.0"]["reading"], found[""]["reading"]) == (reading, reading)
    judged = states(prove(mirror, "--with", "uv"))
    assert judged["app 1.0"] == judged[""] == ("impossible" if reading == "pip" else "installable")


def test_a_proof_is_about_the_first_patch_release(serve: ServeWorld, mirror: Mirror) -> None:
    """Of "3.12" uv proves 3.12.0, and so do we; that a later one cannot have something, the sync has said."""
    world = CONFLICT.having(
        project("late", "1.0", requires=["base>7; python_full_version >= '3.12.4'"]),
        project("fine", "1.0", requires=["base<2; python_full_version >= '3.12.4'", "base; python_version < '3.13'"]),
    )
    mirror.configure(serve(world).url, packages={"late": "latest", "fine": "latest"})
    mirror.sync("--keep-going", status=1)
    assert states(prove(mirror)) == {"fine 1.0": "installable", "late 1.0": "installable"}


def test_a_release_that_only_later_patch_releases_take_is_not_proved_for_the_first(
    serve: ServeWorld, mirror: Mirror
) -> None:
    """Of "3.12" 3.12.0 goes back to app 1.0; uv could have app 2.0 there, too, with a pre-release that nobody holds."""
    world = World.of(
        project("app", release("1.0"), release("2.0", requires=["left"]), release("3.0", requires=["base>7"])),
        project("left", release("2.0rc1"), release("6.0", requires=["base"])),
        project("base", release("1.0", requires_python=">=3.12.3")),
        project("late", release("1.0", requires_python=">=3.12.3")),
    )
    mirror.configure(serve(world).url, packages={"app": "latest", "late": "latest"})
    mirror.sync()
    assert mirror.published()["app"] == [f"app-{n}.0-py3-none-any.whl" for n in (1, 2, 3)]
    assert "left" in mirror.published()
    assert states(prove(mirror)) == {"app 1.0": "installable", "app 3.0": "impossible", "late 1.0": "impossible"}


def test_what_nobody_asks_for_and_nothing_holds_is_no_proof(serve: ServeWorld, mirror: Mirror) -> None:
    mirror.configure(serve(CONFLICT).url, packages={"base": "latest"}, patterns={"le.*": "latest"})
    mirror.sync()
    error = mirror.run("prove", "right", "--json").expect(3).error
    assert "index main is not asked for right, and holds nothing of it" in error["message"]
    assert "pypim sync right" in error["hint"]
    assert states(prove(mirror, "left")) == {"left 2.0": "installable"}
    prove(mirror, "base ; sys_platform == 'win32'", status=9)
    text = mirror.run("prove", "base ; sys_platform == 'win32'").stdout
    assert "nothing of it is asked for on any target" in text


# --- closed networks ------------------------------------------------------------------------------------------------
def test_without_the_upstream_failures_count_and_a_note_says_why(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(CONFLICT)
    mirror.configure(server.url, **APP, **NEWEST)
    mirror.sync()
    close(server)
    outcome = prove(mirror, status=9)
    proof = proofs(outcome)["app 1.0"]
    assert (proof["state"], proof["cause"]) == ("fails", "unknown")
    assert "left 2.0 requires base<2" in proof["reason"]
    assert "could not be asked" in proof["explanation"]
    assert any("the upstream could not be asked" in note for note in notes(outcome))


def test_without_the_upstream_the_last_sync_is_believed(serve: ServeWorld, mirror: Mirror) -> None:
    """What it found to be lacking upstream, with no filter in the way, is impossible still."""
    world = CONFLICT.having(
        project("win", release("1.0", wheel("py3-none-win_amd64"))), project("bad", "1.0", requires=["nobody-has-it"])
    )
    server = serve(world)
    targets = {"all": {"python": ["3.12"], "platforms": ["linux", "windows"]}}
    mirror.configure(server.url, targets=targets, packages={"win": "latest", "bad": "latest"})
    mirror.sync("--keep-going", status=1)
    close(server)
    outcome = prove(mirror)
    assert set(states(outcome).values()) == {"installable", "impossible"}
    assert "last asked" in proofs(outcome)["win on all cpython 3.12 linux"]["explanation"]
    mirror.configure(
        server.url, targets=targets, packages={"win": "latest", "bad": "latest"}, filters={"exclude": ["x"]}
    )
    assert "fails" in states(prove(mirror, status=9)).values(), "a filter may have been to blame"


# --- locks ----------------------------------------------------------------------------------------------------------
def test_what_a_lock_names_is_held_completely_or_not(serve: ServeWorld, mirror: Mirror) -> None:
    server = serve(CONFLICT)
    mirror.configure(server.url, requirements=["pylock.toml"])
    files = [server.world.file(name) for name in ("left-2.0-py3-none-any.whl", "base-2.0-py3-none-any.whl")]
    lines = ['lock-version = "1.0"', 'created-by = "a test"']
    for file in files:
        lines += ["[[packages]]", f'name = "{file.project}"', f'version = "{file.version}"']
        url = f"{server.url}../{file.path}"
        lines += [f'wheels = [{{ url = "{url}", hashes = {{ sha256 = "{file.sha256}" }} }}]']
    (mirror.folder / "pylock.toml").write_text("\n".join(lines))
    mirror.sync()
    assert states(prove(mirror)) == {"left 2.0": "installable", "base 2.0": "installable"}
    next((mirror.store / "packages").rglob("left-2.0*.whl")).unlink()
    close(server)
    outcome = prove(mirror, status=9)
    assert states(outcome) == {"left 2.0": "fails", "base 2.0": "installable"}
    assert "does not hold left-2.0-py3-none-any.whl" in proofs(outcome)["left 2.0"]["reason"]


# --- builds ---------------------------------------------------------------------------------------------------------
def test_what_cannot_be_built_is_noted(serve: ServeWorld, mirror: Mirror) -> None:
    """Whoever installs may have what builds it; so it is told, and does not count."""
    pyproject = '[build-system]\nrequires = ["builder>1"]\nbuild-backend = "builder"\n'
    world = CONFLICT.having(project("src", release("1.0", sdist(pyproject=pyproject))), project("builder", "1.0"))
    mirror.configure(serve(world).url, packages={"src": "latest"})
    mirror.sync()
    outcome = prove(mirror)
    assert states(outcome) == {"src 1.0": "installable"}
    (note,) = notes(outcome)
    assert "builder>1" in note
    assert "packages.src" in note


def test_what_rests_on_an_sdist_that_only_its_build_describes_is_told_apart(serve: ServeWorld, mirror: Mirror) -> None:
    """Unknown is not true (PEP 643): the mark, a note with the file, and a last sentence that does not claim all."""
    open_one = release("1.0", sdist(dynamic=["Requires-Dist"]), wheel("py3-none-win_amd64"))
    world = CONFLICT.having(project("src", open_one), project("user", "1.0", requires=["src"]))
    targets = {"all": {"python": ["3.12"], "platforms": ["linux", "windows"]}}
    packages = {"user": "latest", "app": "latest"}
    mirror.configure(serve(world).url, targets=targets, packages=packages)
    mirror.sync()
    found = proofs(prove(mirror))
    assert {name: one["open_sdists"] for name, one in found.items() if one["open_sdists"]} == {
        "user 1.0 on all cpython 3.12 linux": ["src-1.0.tar.gz"]
    }
    assert {one["state"] for one in found.values()} == {"installable"}
    text = mirror.run("prove").expect().stdout
    assert ["user", "latest", "1.0", "ok?", "ok"] in [line.split() for line in text.splitlines()]
    assert "known only once they are built: src-1.0.tar.gz" in text
    assert "4 proofs; 1 of them only if some sdists require no more than they say" in text
    assert "all that is asked for" not in text


# --- lock files -----------------------------------------------------------------------------------------------------
def written(folder: Path) -> dict[str, dict[str, Any]]:
    return {path.name: tomllib.loads(path.read_text()) for path in sorted(folder.iterdir())}


def test_a_valid_pylock_is_written_for_every_root_and_target(serve: ServeWorld, mirror: Mirror, tmp_path: Path) -> None:
    """PEP 751: file names `pylock.*.toml` with no further dots; only what that root needs there is in it."""
    targets = {"some": {"python": ["3.11", "3.12"], "platforms": ["linux"]}, "any": {}}
    mirror.configure(serve(CONFLICT).url, targets=targets, packages={"app": "latest", "left": "latest"})
    mirror.sync()
    outcome = prove(mirror, "--format", "pylock", tmp_path / "locks")
    locks = written(tmp_path / "locks")
    assert list(locks) == [
        "pylock.app-1-0-any.toml",
        "pylock.app-1-0-some-cpython-3-11-linux.toml",
        "pylock.app-1-0-some-cpython-3-12-linux.toml",
        "pylock.left-2-0-any.toml",
        "pylock.left-2-0-some-cpython-3-11-linux.toml",
        "pylock.left-2-0-some-cpython-3-12-linux.toml",
    ]
    (report,) = outcome.document["indexes"]
    assert sorted(report["lock_files"]) == [str(tmp_path / "locks" / name) for name in locks]
    for name, lock in locks.items():
        assert is_valid_pylock_path(Path(name))
        Pylock.from_dict(lock)
        found = {package["name"]: package["version"] for package in lock["packages"]}
        if name.startswith("pylock.app"):
            assert found == {"app": "1.0", "left": "1.0", "right": "1.0", "base": "2.0"}
        else:
            assert found == {"left": "2.0", "base": "1.0"}
        for package in lock["packages"]:
            (file,) = package["wheels"]
            path = (tmp_path / "locks" / file["path"]).resolve()
            assert path.stat().st_size == file["size"]
            assert path.is_relative_to(mirror.tree.resolve())
    assert "python_version == '3.11'" in locks["pylock.app-1-0-some-cpython-3-11-linux.toml"]["environments"][0]
    assert locks["pylock.app-1-0-some-cpython-3-11-linux.toml"]["requires-python"] == "==3.11.*"
    assert "environments" not in locks["pylock.app-1-0-any.toml"]


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ((wheel("py3-none-any", requires=["lib>=1.0.*", "lib>1"]),), {"app": "2.0", "lib": "2.0", "root": "1.0"}),
        ((replace(wheel(), requires_python=">=3.12.1"),), {"app": "1.0", "lib": "1.0", "root": "1.0"}),
    ],
)
def test_a_pylock_has_one_release_of_each_project(
    serve: ServeWorld, mirror: Mirror, tmp_path: Path, files: tuple[FileSpec, ...], chosen: dict[str, str]
) -> None:
    """Of what pip and uv, or the patch releases of a Python, have each for themselves: none installs two (PEP 751)."""
    older = release("1.0", requires=["lib==1.0"])
    world = World.of(project("root", "1.0", requires=["app"]), project("app", older, release("2.0", *files)))
    lib = project("lib", release("1.0", replace(wheel(), yanked="2.0" in chosen.values())), "2.0")
    mirror.configure(serve(world.having(lib)).url, packages={"root": "latest"})
    mirror.sync()
    assert len(mirror.published()["app"]) == 2
    prove(mirror, "--format", "pylock", tmp_path)
    (text,) = (file.read_text() for file in tmp_path.glob("pylock.*.toml"))
    packages = Pylock.from_dict(tomllib.loads(text)).packages
    assert {package.name: str(package.version) for package in packages} == chosen
    assert len(packages) == len(chosen)


def test_an_old_sdist_is_an_archive_in_a_pylock(serve: ServeWorld, mirror: Mirror, tmp_path: Path) -> None:
    """What PEP 751 takes for an sdist is named .tar.gz or .zip."""
    old = replace(sdist(metadata_version="2.2"), filename="app-1.0.tgz")
    mirror.configure(serve(World.of(project("app", release("1.0", old)))).url, dependencies={"build": False}, **APP)
    mirror.sync()
    prove(mirror, "--format", "pylock", tmp_path)
    (text,) = (file.read_text() for file in tmp_path.glob("pylock.*.toml"))
    (package,) = Pylock.from_dict(tomllib.loads(text)).packages
    assert package.archive is not None
    assert package.archive.path is not None
    assert package.archive.path.endswith("app-1.0.tgz")


def test_a_pylock_of_what_is_not_published_leads_into_the_store(
    serve: ServeWorld, mirror: Mirror, tmp_path: Path
) -> None:
    targets = {"here": {"python": [f"3.{sys.version_info.minor}"], "platforms": ["linux"]}}
    mirror.configure(serve(CONFLICT).url, targets=targets, **APP)
    mirror.write(mirror.config.read_text().replace('publish = "public"\n', ""))
    mirror.sync()
    prove(mirror, "--format", "pylock", tmp_path / "locks")
    (lock,) = written(tmp_path / "locks").values()
    urls = [file["url"] for package in lock["packages"] for file in package["wheels"]]
    assert all(url.startswith((mirror.store / "packages").as_uri()) for url in urls)


def test_lock_files_are_about_one_index(serve: ServeWorld, mirror: Mirror, tmp_path: Path) -> None:
    mirror.write(f'[upstreams.u]\nurl = "{serve(CONFLICT).url}"\n[indexes.a]\n[indexes.b]\n')
    error = mirror.run("prove", "--format", "pylock", tmp_path, "--json").expect(2).error
    assert "--index" in error["hint"]

"""`prove --with uv` and `--with pip` ask the real programs, which see the index and nothing else; locks install."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.clients.clients import _UV, Environment, pip_install, run, uv_compile
from tests.conftest import ServeWorld
from tests.sync.mirror import Document, Mirror, Outcome, pypim_process
from tests.worlds import faults
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project, release, sdist, wheel

HERE = f"3.{sys.version_info.minor}"
OTHER = "3.14" if sys.version_info[:2] != (3, 14) else "3.13"
MACHINE: Document = {"here": {"python": [HERE], "platforms": ["linux"]}}
WORLD = World.of(
    project("app", "1.0", requires=["left", "right", "more; extra == 'all'"]),
    project("left", release("1.0", requires=["base>=2"]), release("2.0", requires=["base<2"])),
    project("right", "1.0", requires=["base>=2"]),
    project("base", "1.0", "2.0"),
    project("more", "1.0"),
    project("native", release("1.0", wheel("py3-none-win_amd64"), wheel("py3-none-macosx_11_0_arm64"))),
    project("src", release("1.0", sdist())),
    project("bad", "1.0", requires=["nobody-has-it"]),
)
JUDGES = ["uv", "pip"]


@pytest.fixture
def server(serve: ServeWorld) -> WorldServer:
    return serve(WORLD)


def states(outcome: Outcome) -> dict[str, str]:
    """ "project version" on a target → the state."""
    (report,) = outcome.document["indexes"]
    return {f"{one['project']} {one['version']} on {one['target']}": one["state"] for one in report["proofs"]}


def prove(mirror: Mirror, *arguments: str | Path, status: int = 0) -> Outcome:
    outcome = mirror.run("prove", "--json", *arguments)
    assert outcome.status == status, f"{outcome.stdout}\n{outcome.stderr}"
    return outcome


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("is_published", [True, False])
def test_a_judge_finds_installable_what_is_held_completely(
    server: WorldServer, mirror: Mirror, judge: str, is_published: bool
) -> None:
    """From the published tree, or from pages that lead into the store, without the upstream."""
    mirror.configure(server.url, targets=MACHINE, packages={"app[all]": "latest", "src": "latest"})
    if not is_published:
        mirror.write(mirror.config.read_text().replace('publish = "public"\n', ""))
    mirror.sync()
    server.misbehave("*", faults.no_answer())
    outcome = prove(mirror, "--with", judge)
    assert set(states(outcome).values()) == {"installable"}
    (report,) = outcome.document["indexes"]
    assert report["judge"].startswith(f"{judge} ")
    assert mirror.tree.exists() is is_published


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_and_the_builtin_resolver_agree_on_what_fails(server: WorldServer, mirror: Mirror, judge: str) -> None:
    """The reason is in the judge's own words; the explanation is ours."""
    packages = dict.fromkeys(("app", "bad", "base", "src"), "latest")
    mirror.configure(server.url, targets=MACHINE, packages=packages, dependencies={"versions": "newest"})
    mirror.sync("--keep-going", status=1)
    outcome = prove(mirror, "--with", judge, status=9)
    assert states(outcome) == states(prove(mirror, status=9))
    assert states(outcome) == {
        "app 1.0 on here": "fails",
        "bad 1.0 on here": "impossible",
        "base 2.0 on here": "installable",
        "src 1.0 on here": "installable",
    }
    (report,) = outcome.document["indexes"]
    (failure,) = (one for one in report["proofs"] if one["state"] == "fails")
    assert "base" in failure["reason"]
    assert "left 1.0" in failure["explanation"]


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_is_asked_for_the_root_as_written_where_no_held_release_will_do(
    serve: ServeWorld, mirror: Mirror, judge: str
) -> None:
    """It refuses the held release from the upstream too, and installs the root from there all the same."""
    world = World.of(project("app", release("1.0"), release("2.0", requires=["nobody-has-it"])))
    server = serve(world)
    newest: Document = {"dependencies": {"versions": "newest"}}
    mirror.configure(server.url, targets=MACHINE, packages={"app": "latest"}, **newest)
    mirror.run("sync", "--keep-going").expect(1)
    outcome = prove(mirror, "--with", judge, status=9)
    assert states(outcome) == {"app 2.0 on here": "fails"}
    assert "from the upstream, by releases that this index does not hold" in outcome.stdout
    mirror.configure(server.url, targets=MACHINE, packages={"app": "==2.0"}, **newest)
    mirror.run("sync", "--keep-going")
    assert states(prove(mirror, "--with", judge)) == {"app 2.0 on here": "impossible"}


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_uses_constraints_prereleases_and_extras(serve: ServeWorld, mirror: Mirror, judge: str) -> None:
    world = World.of(
        project("app", release("1.0", requires=["lib>1", "pre>0; extra == 'x'"])),
        project("lib", "1.5", "2.0"),
        project("pre", "1.0", "2.0a1"),
    )
    mirror.configure(
        serve(world).url, targets=MACHINE, requirements=["requirements.txt"], filters={"prereleases": True}
    )
    (mirror.folder / "requirements.txt").write_text("app[x]\n-c limits.txt\n")
    (mirror.folder / "limits.txt").write_text("lib<2\npre==2.0a1\n")
    mirror.sync()
    assert states(prove(mirror, "--with", judge)) == {"app 1.0 on here": "installable"}
    (mirror.folder / "limits.txt").write_text("lib<1\n")
    assert states(prove(mirror, "--with", judge)) == {"app 1.0 on here": "impossible"}


def test_what_a_judge_refuses_from_the_upstream_too_is_told_apart(serve: ServeWorld, mirror: Mirror) -> None:
    """pip takes a yanked release that something else pins; for uv it is impossible, here as there."""
    world = World.of(project("app", "1.0", requires=["lib==1.0"]), project("lib", release("1.0", yanked="bad"), "2.0"))
    server = serve(world)
    mirror.configure(server.url, targets=MACHINE, packages={"app": "latest"})
    mirror.sync()
    assert states(prove(mirror, "--with", "pip")) == {"app 1.0 on here": "installable"}
    assert states(prove(mirror, "--with", "uv")) == {"app 1.0 on here": "impossible"}
    assert not uv_compile(server.url, "app").ok


@pytest.mark.parametrize("judge", JUDGES)
def test_what_a_judge_refuses_is_asked_of_it_before_the_upstream_too(
    serve: ServeWorld, mirror: Mirror, judge: str
) -> None:
    """What builds the sdist is nowhere to be had: the built-in resolver needs no build, the judge does."""
    pyproject = '[build-system]\nrequires = ["nobody-has-it"]\nbuild-backend = "nobody_has_it"\n'
    source = sdist(pyproject=pyproject, metadata_version="2.1", dynamic=["Requires-Dist"])
    world = WORLD.having(project("src", release("1.0", source)))
    server = serve(world)
    mirror.configure(server.url, targets=MACHINE, packages={"src": "latest"})
    mirror.sync()
    outcome = prove(mirror, "--with", judge)
    assert states(outcome) == {"src 1.0 on here": "impossible"}
    assert "cannot install it from the upstream either" in outcome.document["indexes"][0]["proofs"][0]["explanation"]
    assert states(prove(mirror, "--with", judge, "--offline", status=9)) == {"src 1.0 on here": "fails"}
    if judge == "uv":  # pip does not say what happens to the pip that it runs for a build
        server.misbehave("*/nobody-has-it/*", faults.status(403))
        assert states(prove(mirror, "--with", judge, status=9)) == {"src 1.0 on here": "fails"}, "nobody knows"
    server.misbehave("*", faults.no_answer())
    assert states(prove(mirror, "--with", judge, status=9)) == {"src 1.0 on here": "fails"}


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_that_stumbles_has_not_decided(server: WorldServer, mirror: Mirror, judge: str) -> None:
    """Only "no solution" is an answer; the last line of all else is told."""
    mirror.configure(server.url, targets=MACHINE, packages={"app": "latest"})
    mirror.sync()
    for path in (mirror.tree / "packages").rglob("left-1.0*"):
        path.unlink()
    outcome = prove(mirror, "--with", judge, status=9)
    (proof,) = outcome.document["indexes"][0]["proofs"]
    assert (proof["state"], proof["cause"]) == ("undecided", "missing-file")
    assert proof["reason"].startswith("the judge ended with status ")
    assert "left-1.0-py3-none-any.whl" in proof["reason"]


@pytest.mark.parametrize("judge", JUDGES)
def test_a_judge_proves_the_lines_of_a_file_as_a_whole(server: WorldServer, mirror: Mirror, judge: str) -> None:
    mirror.configure(server.url, targets=MACHINE, requirements=["asked.txt"], dependencies={"versions": "newest"})
    (mirror.folder / "asked.txt").write_text("left\nright\nmore ; sys_platform == 'win32'\n")
    mirror.sync()
    found = states(prove(mirror, "--with", judge, status=9))
    assert found == {"left 2.0 on here": "installable", "right 1.0 on here": "installable", "  on here": "fails"}


def test_what_nobody_could_judge_is_not_proved(server: WorldServer, mirror: Mirror) -> None:
    mirror.configure(server.url, targets={"open": {"python": [HERE]}}, packages={"app": "latest"})
    mirror.sync()
    assert set(states(prove(mirror, "--with", "uv", status=9)).values()) == {"not-judged"}
    assert "could judge nothing of it" in mirror.run("prove", "--with", "uv").stdout


def test_an_old_pip_is_noted(server: WorldServer, mirror: Mirror) -> None:
    """Below 24.1 it reads what is not valid otherwise."""
    mirror.configure(server.url, targets=MACHINE, packages={"base": "latest"})
    mirror.sync()
    (report,) = prove(mirror, "--with", "pip").document["indexes"]
    major, minor = map(int, report["judge"].split()[1].split(".")[:2])
    assert any("reads some metadata otherwise" in note for note in report["notes"]) is ((major, minor) < (24, 1))


@pytest.mark.parametrize("judge", JUDGES)
def test_configuration_caches_and_variables_of_the_machine_do_not_reach_a_judge(
    server: WorldServer, mirror: Mirror, tmp_path: Path, judge: str
) -> None:
    mirror.configure(server.url, targets=MACHINE, packages={"app": "latest"})
    mirror.sync()
    elsewhere = "http://127.0.0.1:9/simple/"
    for name, text in (
        ("uv.toml", f'index-url = "{elsewhere}"\nno-build = true\n'),
        ("pip.conf", f"[global]\nindex-url = {elsewhere}\n"),
    ):
        (tmp_path / name).write_text(text)
    variables = {
        "UV_DEFAULT_INDEX": elsewhere,
        "UV_INDEX_URL": elsewhere,
        "UV_CONFIG_FILE": str(tmp_path / "uv.toml"),
        "UV_CACHE_DIR": str(tmp_path / "cache"),
        "UV_EXCLUDE_NEWER": "2001-01-01",
        "PIP_INDEX_URL": elsewhere,
        "PIP_CONFIG_FILE": str(tmp_path / "pip.conf"),
        "PIP_NO_INDEX": "1",
    }
    arguments = ["prove", "--with", judge, "--json"]
    outcome = pypim_process("-c", mirror.config, *arguments, cwd=tmp_path, **variables).expect()
    assert states(outcome) == {"app 1.0 on here": "installable"}
    assert not (tmp_path / "cache").exists()


def test_uv_judges_other_machines(server: WorldServer, mirror: Mirror) -> None:
    """By its name for their platform; what has no name there, or is open, is not judged and does not fail."""
    targets = {
        "windows": {"python": [OTHER], "platforms": ["windows"]},
        "macos": {"python": ["3.12.4"], "platforms": ["macosx_12_0_arm64"]},
        "musl": {"python": ["3.12"], "platforms": ["musllinux_1_2_aarch64"]},
        "linux": {"python": ["3.10"], "platforms": ["manylinux2014_x86_64"]},
        "old-musl": {"python": ["3.12"], "platforms": ["musllinux_1_1_x86_64"]},
        "open": {"python": ["3.12"]},
        "by-hand": {"markers": {"sys_platform": ["linux"]}},
        "pypy": {"python": ["3.10"], "platforms": ["linux"], "implementations": ["pypy"]},
        "free": {"python": ["3.13t"], "platforms": ["linux"]},
    }
    mirror.configure(server.url, targets=targets, packages={"app": "latest", "native": "latest"})
    mirror.sync()
    outcome = prove(mirror, "--with", "uv")
    found = states(outcome)
    installable = {name.rpartition(" ")[2] for name, state in found.items() if state == "installable"}
    not_judged = {name.rpartition(" ")[2] for name, state in found.items() if state == "not-judged"}
    assert installable == {"windows", "macos", "musl", "linux"}
    assert not_judged == {"old-musl", "open", "by-hand", "pypy", "free"}
    assert found["native 1.0 on windows"] == found["native 1.0 on macos"] == "installable"
    assert found["native  on musl"] == found["native  on linux"] == "impossible"
    (report,) = outcome.document["indexes"]
    reasons = {one["target"]: one["reason"] for one in report["proofs"] if one["state"] == "not-judged"}
    assert reasons["old-musl"] == "uv has no --python-platform for musllinux_1_1_x86_64"
    assert "CPython only" in reasons["pypy"]
    text = mirror.run("prove", "--with", "uv").expect().stdout
    assert text.count("uv has no --python-platform") == 1, "the reason is told once, not for every root"


def test_uv_agrees_about_the_macos_that_a_wheel_is_for(serve: ServeWorld, mirror: Mirror) -> None:
    """MACOSX_DEPLOYMENT_TARGET is handed on."""
    world = World.of(project("app", release("1.0", wheel("py3-none-macosx_14_0_arm64"))))
    targets = {
        "new": {"python": ["3.12"], "platforms": ["macosx_14_0_arm64"]},
        "old": {"python": ["3.12"], "platforms": ["macosx_12_0_arm64"]},
    }
    mirror.configure(serve(world).url, targets=targets, packages={"app": "latest"})
    mirror.sync()
    found = states(prove(mirror, "--with", "uv"))
    assert found == {"app 1.0 on new": "installable", "app  on old": "impossible"}


def test_pip_judges_only_the_interpreters_of_this_machine(server: WorldServer, mirror: Mirror) -> None:
    """It evaluates markers with the one that runs it; elsewhere it is no judge, which is no failure."""
    targets = {
        **MACHINE,
        "windows": {"python": [HERE], "platforms": ["windows"]},
        "none": {"python": ["3.7"], "platforms": ["linux"]},
        "open": {"python": [HERE]},
    }
    mirror.configure(server.url, targets=targets, packages={"app": "latest"})
    mirror.sync()
    outcome = prove(mirror, "--with", "pip")
    assert states(outcome) == {
        "app 1.0 on here": "installable",
        "app 1.0 on none": "not-judged",
        "app 1.0 on open": "not-judged",
        "app 1.0 on windows": "not-judged",
    }
    assert "not judged" in mirror.run("prove", "--with", "pip").expect().stdout


def test_a_judge_that_is_not_there_is_one_clear_error(server: WorldServer, mirror: Mirror, tmp_path: Path) -> None:
    """Looked for on PATH and beside the interpreter."""
    mirror.configure(server.url, targets=MACHINE, packages={"app": "latest"})
    mirror.sync()
    bare = tmp_path / "bare"
    run([*_UV, "venv", "--quiet", "--offline", "--python", sys.executable, str(bare)]).expect_ok()
    program = "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); from pypim.cli.main import main; main()"
    folders = ":".join(path for path in sys.path if path)
    arguments = ["-c", str(mirror.config), "prove", "--with", "uv"]
    said = run([str(bare / "bin" / "python"), "-c", program, folders, *arguments], more_environ={"PATH": str(tmp_path)})
    assert said.returncode == 3, said.stderr
    assert said.stderr.count("uv is neither on PATH nor beside") == 1
    assert "Install uv" in said.stderr


def test_what_only_a_build_tells_is_found_out_and_there_is_something_to_do(serve: ServeWorld, mirror: Mirror) -> None:
    """The built-in resolver finds it installable; uv builds the sdist, and the upstream has what that asks for."""
    made = release("1.0", replace(sdist(requires=["base"]), has_pkg_info=False))
    world = World.of(project("src", made), project("base", "1.0"))
    mirror.configure(serve(world).url, targets=MACHINE, packages={"src": "latest"})
    mirror.sync()
    (proof,) = prove(mirror, "--with", "uv", status=9).document["indexes"][0]["proofs"]
    assert (proof["state"], proof["cause"]) == ("fails", "not-held")
    assert "base" in proof["reason"]
    assert proof["remedy"].startswith("Ask by name for what it says is lacking, and run `pypim sync")


# --- lock files -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("is_published", [True, False])
def test_uv_installs_from_a_pylock_that_prove_has_written(
    server: WorldServer, mirror: Mirror, tmp_path: Path, environment: Environment, is_published: bool
) -> None:
    """Offline, and exactly what the resolver found; sdists too."""
    mirror.configure(server.url, targets=MACHINE, packages={"app[all]": "latest", "src": "latest"})
    if not is_published:
        mirror.write(mirror.config.read_text().replace('publish = "public"\n', ""))
    mirror.sync()
    server.misbehave("*", faults.no_answer())
    prove(mirror, "--format", "pylock", tmp_path / "locks")
    python = ["--python", str(environment.python), "--offline"]
    lock = tmp_path / "locks" / f"pylock.app-all-1-0-here-cpython-{HERE.replace('.', '-')}-linux.toml"
    run([*_UV, "pip", "install", "--preview", "-r", str(lock), *python]).expect_ok()
    assert environment.installed() == {"app": "1.0", "left": "1.0", "right": "1.0", "base": "2.0", "more": "1.0"}
    lock = tmp_path / "locks" / f"pylock.src-1-0-here-cpython-{HERE.replace('.', '-')}-linux.toml"
    run([*_UV, "pip", "sync", "--preview", str(lock), *python]).expect_ok()
    assert environment.installed() == {"src": "1.0"}


def test_what_is_proved_installs(server: WorldServer, mirror: Mirror, environment: Environment) -> None:
    """And what uv resolves from the upstream it resolves from the mirror, to the same releases."""
    mirror.configure(server.url, targets=MACHINE, packages={"app": "latest"})
    mirror.sync()
    prove(mirror)
    options = {"python_version": HERE, "python_platform": "linux"}
    upstream = uv_compile(server.url, "app", **options).expect_ok().stdout
    server.misbehave("*", faults.no_answer())
    assert uv_compile(mirror.url, "app", **options).expect_ok().stdout == upstream
    pip_install(mirror.url, "app", environment).expect_ok()

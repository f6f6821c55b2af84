"""`pypim init` writes a commented configuration: from defaults, from answers, or from another tool's file."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pypim.config.load import load
from pypim.config.machine import this_machine

_PYPIM = str(Path(sys.executable).with_name("pypim"))


def _init(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [_PYPIM, "init", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_without_a_terminal_the_defaults_are_written(tmp_path: Path) -> None:
    found = _init(["mirror"], tmp_path)
    assert (found.returncode, found.stderr) == (0, "")
    assert "pypim -c mirror/pypim.toml plan" in found.stdout
    config = load(tmp_path / "mirror" / "pypim.toml")
    assert config.chosen("main")[0].targets == {"machines": this_machine()}
    assert config.chosen("main")[0].publish == tmp_path / "mirror" / "public"


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "pypim.toml").write_text("mine")
    found = _init([], tmp_path)
    assert found.returncode == 5
    assert "pypim.toml is already there" in found.stderr
    assert (tmp_path / "pypim.toml").read_text() == "mine"


def test_a_conversion_says_what_it_could_not_carry_over(tmp_path: Path) -> None:
    (tmp_path / "bandersnatch.conf").write_text("[mirror]\ndirectory = /srv/pypi\nroot_uri = https://files.example\n")
    found = _init(["--from", "bandersnatch.conf", "--json"], tmp_path)
    document = json.loads(found.stdout)
    assert document["converted_from"] == "bandersnatch"
    assert document["not_carried_over"] == ["[mirror] root_uri: links in pages are relative"]
    text = (tmp_path / "pypim.toml").read_text()
    assert "# Not carried over: [mirror] root_uri" in text
    assert load(tmp_path / "pypim.toml").chosen("main")[0].publish == Path("/srv/pypi/web")


def test_what_cannot_be_converted_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.ini").write_text("[other]\n")
    found = _init(["--from", "x.ini"], tmp_path)
    assert found.returncode == 2
    assert "pypim: error: x.ini: this is no configuration that pypim knows" in found.stderr
    assert not (tmp_path / "pypim.toml").exists()


def test_relative_paths_go_on_to_mean_the_same_files(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "wanted.txt").write_text("flask\n")
    (old / "run.txt").write_text("simple-pypi-mirror wanted.txt --local-folder tree\n")
    assert _init(["new", "--from", "old/run.txt"], tmp_path).returncode == 0
    index = load(tmp_path / "new" / "pypim.toml").chosen("main")[0]
    assert [str(file) for file in index.requirement_files] == [str(old / "wanted.txt")]
    assert index.publish == old / "tree"


def test_a_conversion_that_fails_names_the_file_that_is_there(tmp_path: Path) -> None:
    text = "[mirror]\ndirectory = m\n[plugins]\nenabled = blocklist_project\n[blocklist]\npackages =\n    a>>1\n"
    (tmp_path / "bandersnatch.conf").write_text(text)
    found = _init(["new", "--from", "bandersnatch.conf"], tmp_path)
    assert found.returncode == 2
    assert found.stderr.startswith("pypim: error: bandersnatch.conf: indexes.main.filters.exclude[1]: 'a>>1'")
    assert "pypim.toml:" not in found.stderr
    assert not (tmp_path / "new").exists()


def _at_a_terminal(answers: list[str], cwd: Path) -> tuple[int, str]:
    """The status, and all that was said."""
    master, slave = pty.openpty()
    os.write(master, "".join(f"{answer}\n" for answer in answers).encode())
    process = subprocess.Popen([_PYPIM, "init"], cwd=cwd, stdin=slave, stderr=slave, stdout=slave)
    os.close(slave)
    said = b""
    with suppress(OSError):  # Linux says "I/O error" when the other side was closed
        while chunk := os.read(master, 65536):
            said += chunk
    os.close(master)
    return process.wait(60), said.decode()


def test_on_a_terminal_a_few_questions_are_asked(tmp_path: Path) -> None:
    answers = ["https://index.example/simple/", "", "3.12 3.13", "linux windows", "flask uvicorn[standard] >= 0.30, <1"]
    status, said = _at_a_terminal(answers, tmp_path)
    assert status == 0, said
    assert "pypim.toml: written" in said
    index = load(tmp_path / "pypim.toml").chosen("main")[0]
    assert index.upstream.url == "https://index.example/simple/"
    (target,) = index.targets.values()
    assert (target.python, target.platforms) == (("3.12", "3.13"), ("linux", "windows"))
    assert [(root.origin, root.text) for root in index.roots] == [
        ("packages.flask", "latest"),
        ("packages.uvicorn[standard]", "latest<1,>=0.30"),
    ]


def test_an_answer_that_cannot_be_read_is_asked_for_again(tmp_path: Path) -> None:
    """With the reason, and before the next question."""
    answers = [
        "gopher://x",
        "",
        "out",
        "three",
        "3.12",
        "lunix",
        "linux",
        "flask=1",
        "flask; os_name == 'nt'",
        "six, b",
    ]
    status, said = _at_a_terminal(answers, tmp_path)
    assert status == 0, said
    for words in ("'gopher' is no scheme", "three", "Did you mean linux?", "flask==1", "marker"):
        assert words in said
    assert said.count("Error: ") == 5
    index = load(tmp_path / "pypim.toml").chosen("main")[0]
    assert (index.upstream.name, index.publish) == ("pypi", tmp_path / "out")
    assert [root.project for root in index.roots] == ["six", "b"]


def test_leaving_in_the_middle_writes_nothing(tmp_path: Path) -> None:
    status, said = _at_a_terminal(["", "\x04"], tmp_path)
    assert status == 130
    assert "interrupted" in said
    assert not (tmp_path / "pypim.toml").exists()

"""`pypim init` writes a commented configuration: from defaults, from answers, or from another tool's file."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
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
    assert config.indexes["main"].targets == {"machines": this_machine()}
    assert config.indexes["main"].publish == tmp_path / "mirror" / "public"


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
    assert load(tmp_path / "pypim.toml").indexes["main"].publish == Path("/srv/pypi/web")


def test_what_cannot_be_converted_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.ini").write_text("[other]\n")
    found = _init(["--from", "x.ini"], tmp_path)
    assert found.returncode == 2
    assert "pypim: error: x.ini: this is no configuration that pypim knows" in found.stderr
    assert not (tmp_path / "pypim.toml").exists()


def test_on_a_terminal_a_few_questions_are_asked(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    answers = ["https://index.example/simple/", "", "3.12 3.13", "linux windows", "flask uvicorn[standard]>=0.30,<1"]
    os.write(master, "".join(f"{answer}\n" for answer in answers).encode())
    process = subprocess.Popen([_PYPIM, "init"], cwd=tmp_path, stdin=slave, stderr=slave, stdout=subprocess.PIPE)
    output, _ = process.communicate(timeout=60)
    os.close(slave)
    os.close(master)
    assert process.returncode == 0
    assert b"pypim.toml: written" in output
    index = load(tmp_path / "pypim.toml").indexes["main"]
    assert index.upstream.url == "https://index.example/simple/"
    (target,) = index.targets.values()
    assert (target.python, target.platforms) == (("3.12", "3.13"), ("linux", "windows"))
    assert [(root.origin, root.text) for root in index.roots] == [
        ("packages.flask", "latest"),
        ("packages.uvicorn[standard]", "latest<1,>=0.30"),
    ]

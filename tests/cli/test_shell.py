"""The program as people call it: help, global options in both places, messages, exit statuses, JSON."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from pypim import __version__
from pypim.cli.command import LazyGroup
from pypim.cli.main import program

_PYPIM = str(Path(sys.executable).with_name("pypim"))


def _environment(home: Path, **more: str) -> dict[str, str]:
    """The user's own environment without anything that would change what pypim does."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYPIM", "_PYPIM", "XDG", "NETRC"))
    }
    return {**kept, "HOME": str(home), "COLUMNS": "100", **more}


def _run(arguments: list[str], cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_PYPIM, *arguments],
        cwd=cwd,
        env=_environment(cwd, **more),
        capture_output=True,
        text=True,
        check=False,
        input="",
    )


def _every_command() -> list[tuple[str, ...]]:
    assert isinstance(program, LazyGroup)
    with click.Context(program) as context:
        found: list[tuple[str, ...]] = []
        for name in program.list_commands(context):
            command = program.get_command(context, name)
            inner = command.list_commands(context) if isinstance(command, click.Group) else []
            found += [(name,), *((name, one) for one in inner)]
        return found


class TestHelp:
    def test_it_names_every_command_with_a_summary(self, tmp_path: Path) -> None:
        found = _run(["--help"], tmp_path)
        assert found.returncode == 0
        assert not found.stderr
        for name, *rest in _every_command():
            assert rest or re.search(rf"^  {name} +[A-Z]", found.stdout, re.MULTILINE), name

    @pytest.mark.parametrize("words", _every_command())
    def test_every_command_has_a_text_the_global_options_and_two_examples(self, words: tuple[str, ...]) -> None:
        context = click.Context(program, info_name="pypim")
        command: click.Command | None = program
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(context, word)
        assert command is not None
        help_context = click.Context(command, info_name=words[-1], parent=context, max_content_width=200)
        help_page = click.unstyle(command.get_help(help_context))
        assert "Global options" in help_page
        assert help_page.partition("Examples")[2].count("  pypim") >= 2
        assert command.help

    def test_it_imports_nothing_heavy_and_stays_within_its_time(self, tmp_path: Path) -> None:
        """`pypim --help` within 0.15 s of CPU: no display, database, client, or event loop is imported for it."""
        command = [sys.executable, "-X", "importtime", "-m", "pypim", "--help"]
        found = subprocess.run(
            command, cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True, check=True
        )
        imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
        assert "pypim.cli.main" in imported
        heavy = {"rich", "rich.progress", "rich_click", "sqlite3", "pyreqwest", "asyncio", "uvloop", "packaging.tags"}
        assert not heavy & imported
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = 1.0
        for _ in range(5):
            _run(["--help"], tmp_path)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            best = min(best, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            before = after
        assert best <= 0.15

    def test_without_a_command_it_is_shown_and_the_status_is_2(self, tmp_path: Path) -> None:
        found = _run([], tmp_path)
        assert found.returncode == 2
        assert found.stderr.startswith("Usage: pypim")

    def test_the_version_is_said(self, tmp_path: Path) -> None:
        assert _run(["--version"], tmp_path).stdout == f"pypim {__version__}\n"
        module = [sys.executable, "-m", "pypim", "--version"]
        assert subprocess.run(module, capture_output=True, text=True, check=True).stdout == f"pypim {__version__}\n"


def _write(folder: Path, text: str = "[indexes.main]\n", name: str = "pypim.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


class TestGlobalOptions:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["--json", "-c", "other.toml", "config", "check"],
            ["config", "--json", "-c", "other.toml", "check"],
            ["config", "check", "--json", "--config", "other.toml"],
            ["--json", "config", "check", "-c", "other.toml"],
        ],
    )
    def test_they_count_before_the_command_and_after_it(self, arguments: list[str], tmp_path: Path) -> None:
        _write(tmp_path, name="other.toml")
        found = _run(arguments, tmp_path)
        assert json.loads(found.stdout) == {"source": "other.toml", "is_valid": True, "indexes": ["main"]}
        assert not found.stderr

    def test_verbose_and_quiet_exclude_each_other(self, tmp_path: Path) -> None:
        _write(tmp_path)
        found = _run(["-v", "config", "check", "-q"], tmp_path)
        assert (found.returncode, found.stdout) == (2, "")
        assert found.stderr.startswith("pypim: error: -v and -q do not go together\n")

    def test_the_configuration_comes_from_the_variable(self, tmp_path: Path) -> None:
        _write(tmp_path, name="other.toml")
        found = _run(["config", "check"], tmp_path, PYPIM_CONFIG="other.toml")
        assert found.stdout == "other.toml: no fault found, 1 index (main)\n"


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            (["syn"], 2, "No such command 'syn'. Did you mean 'sync'?"),
            (["config", "shwo"], 2, "Did you mean 'show'?"),
            (["sync", "--pyton", "3.12"], 2, "'--python'"),
            (["config", "check"], 2, "no configuration"),
            (["-c", "none.toml", "config", "check"], 2, "none.toml: no such file"),
            (["plan", "flask=3.0", "--to", "m"], 2, "REQ 'flask=3.0'"),
            (["plan", "flask", "--platform", "lunix", "--to", "m"], 2, "--platform 'lunix'"),
            (["plan", "flask", "--python", "3,x", "--to", "m"], 2, "--python '3'"),
            (["plan", "flask", "--upstream", "gopher://x", "--to", "m"], 2, "--upstream gopher://x: "),
            (["plan", "flask", "--upstream", "notaurl", "--to", "m"], 2, "notaurl: there is no such folder"),
            (["plan", "flask", "--binary-only", "--source-only", "--to", "m"], 2, "exclude each other"),
            (["plan", "-r", "uv.lock", "--to", "m"], 2, "uv.lock"),
            (["plan", "flask", "--replace"], 2, "--replace goes with --to"),
            (["plan", "flask", "-c", "x.toml", "--to", "m"], 2, "-c and --to do not go together"),
            (["plan", "--to", "m"], 3, "m: pypim keeps no mirror here"),
            (["list", "--to", "m"], 3, "m: pypim keeps no mirror here"),
        ],
    )
    def test_one_message_with_the_status_of_the_table_and_no_traceback(
        self, arguments: list[str], status: int, message: str, tmp_path: Path
    ) -> None:
        (tmp_path / "uv.lock").touch()
        found = _run(arguments, tmp_path)
        assert (found.returncode, found.stdout) == (status, "")
        assert found.stderr.startswith("pypim: error: ")
        assert message in found.stderr
        assert "Traceback" not in found.stderr
        as_json = _run([*arguments, "--json"], tmp_path)
        error = json.loads(as_json.stdout)["error"]
        assert set(error) == {"code", "message", "hint", "exit_status", "faults"}
        assert (as_json.returncode, error["exit_status"]) == (status, status)
        assert message in error["message"]
        assert not (tmp_path / "m").exists()

    def test_all_faults_of_a_configuration_are_in_one_message(self, tmp_path: Path) -> None:
        _write(tmp_path, "[indexes.main]\nupstrem = 'x'\nkind = 'mirorr'\n")
        found = _run(["config", "check"], tmp_path)
        assert found.returncode == 2
        assert "pypim.toml:2: indexes.main.upstrem: unknown key" in found.stderr
        assert "pypim.toml:3: indexes.main.kind: unknown kind 'mirorr'" in found.stderr

    def test_a_reader_that_leaves_early_is_nobodys_fault(self, tmp_path: Path) -> None:
        command = f"'{_PYPIM}' config schema | head -c 1"
        found = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert (found.stdout, found.stderr) == ("{", "")

    def test_an_interrupt_is_130_and_says_that_nothing_is_lost(self, tmp_path: Path) -> None:
        script = (
            "import click, sys\nfrom pypim.cli import main\n"
            "@click.command()\ndef stop() -> None:\n    raise KeyboardInterrupt\n"
            "main.program.add_command(stop)\n"
            "sys.exit(main.run(['stop']))\n"
        )
        found = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert found.returncode == 130
        assert found.stderr.startswith("pypim: interrupted\n")

    @pytest.mark.parametrize("is_verbose", [False, True])
    def test_a_bug_is_one_line_and_a_traceback_only_for_those_who_ask(self, is_verbose: bool, tmp_path: Path) -> None:
        script = (
            "import click, sys\nfrom pypim.cli import main\n"
            "from pypim.cli.command import Command\n"
            "@click.command(cls=Command)\ndef fail() -> None:\n    raise LookupError('deep inside')\n"
            "main.program.add_command(fail)\n"
            f"sys.exit(main.run({['fail', '-v'] if is_verbose else ['fail']}))\n"
        )
        found = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert found.returncode == 1
        assert "pypim: error: unexpected LookupError: deep inside\nThis is a bug" in found.stderr
        assert ("Traceback" in found.stderr) is is_verbose


class TestConfigCommands:
    def test_show_prints_toml_or_json(self, tmp_path: Path) -> None:
        _write(tmp_path, "[upstreams.a]\nurl = 'https://index.example/simple/'\ntoken = 'hidden'\n[indexes.main]\n")
        prose, as_json = _run(["config", "show"], tmp_path), _run(["config", "show", "--json"], tmp_path)
        assert tomllib.loads(prose.stdout)["indexes"]["main"]["upstream"] == "a"
        document = json.loads(as_json.stdout)
        assert document["upstreams"]["a"]["token"] == "********"
        assert document["store"]["path"] == str(tmp_path / "data")
        assert "hidden" not in prose.stdout + as_json.stdout

    def test_schema_is_the_same_with_and_without_json(self, tmp_path: Path) -> None:
        prose, as_json = _run(["config", "schema"], tmp_path), _run(["config", "schema", "--json"], tmp_path)
        assert json.loads(prose.stdout)["$defs"]["MirrorTable"]["properties"]["on-removal"]
        assert prose.stdout == as_json.stdout

    def test_check_looks_into_the_files_that_are_named(self, tmp_path: Path) -> None:
        text = "[upstreams.a]\nurl = 'https://index.example/simple/'\ntoken = 'env:NOT_SET'\nca = 'ca.pem'\n"
        _write(tmp_path, text + "[indexes.main]\nrequirements = ['a.txt', 'b.txt']\n")
        (tmp_path / "a.txt").write_text("flask\ndjango>>5\n")
        found = _run(["config", "check"], tmp_path)
        assert found.returncode == 2
        places = [line.removeprefix("pypim: error: ").partition(": ")[0] for line in found.stderr.splitlines()]
        assert places[:4] == ["pypim.toml:3", "pypim.toml:4", "pypim.toml:6", f"{tmp_path / 'a.txt'}:2"]
        faults = json.loads(_run(["config", "check", "--json"], tmp_path).stdout)["error"]["faults"]
        assert [(fault["file"], fault["line"], fault["key"]) for fault in faults] == [
            ("pypim.toml", 3, "upstreams.a.token"),
            ("pypim.toml", 4, "upstreams.a.ca"),
            ("pypim.toml", 6, "indexes.main.requirements[2]"),
            (str(tmp_path / "a.txt"), 2, ""),
        ]
        assert {"file", "line", "key", "message", "remedy"} == set(faults[0])
        assert "NOT_SET is not set" in faults[0]["message"]
        assert faults[0]["remedy"] == "Set NOT_SET and try again."

    @pytest.mark.parametrize("command", ["sync", "plan", "metadata", "why-not six"])
    def test_commands_that_need_those_files_give_the_same_report(self, command: str, tmp_path: Path) -> None:
        """In one go with what is wrong in the file itself; what another index needs is not asked for."""
        text = "[upstreams.a]\nurl = 'https://index.example/simple/'\ntoken = 'env:NOT_SET'\nca = 'ca.pem'\n"
        text += "[upstreams.b]\nurl = './b'\npassword = 'env:NOT_SET'\n[indexes.other]\nupstream = 'b'\n"
        _write(tmp_path, text + "[indexes.main]\nupstream = 'a'\nrequirements = ['b.txt']\n")
        found = _run([*command.split(), "--index", "main"], tmp_path)
        assert found.returncode == 2
        assert [line.partition(":")[2].partition(":")[0].strip() for line in found.stderr.splitlines()[:3]] == [
            "error",
            "4",
            "12",
        ]
        assert "pypim.toml:3: " in found.stderr
        assert not (tmp_path / "data").exists()

    def test_commands_that_need_no_file_work_without_them(self, tmp_path: Path) -> None:
        _write(tmp_path, "[indexes.main]\nrequirements = ['b.txt']\n")
        for command in ("list", "status", "config show"):
            assert _run(command.split(), tmp_path).returncode == 0

    def test_a_proxy_variable_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        _write(tmp_path)
        for command in ("config check", "plan flask", "plan --upstream http://a.example", "sync flask --to m"):
            found = _run(command.split(), tmp_path, HTTPS_PROXY="htp:/nowhere")
            assert found.returncode == 2
            assert "environment: HTTPS_PROXY: 'htp:/nowhere' is not the address of a proxy" in found.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["pypim.toml"]


class TestCompletion:
    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_asks_the_program(self, shell: str, tmp_path: Path) -> None:
        found = _run(["completion", shell], tmp_path)
        assert (found.returncode, found.stderr) == (0, "")
        assert "_PYPIM_COMPLETE" in found.stdout

    def test_commands_and_options_are_completed(self, tmp_path: Path) -> None:
        def complete(words: str, place: int) -> str:
            more = {"_PYPIM_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
            return _run([], tmp_path, **more).stdout

        assert complete("pypim sy", 1) == "plain,sync\n"
        assert "plain,--keep-latest" in complete("pypim sync --keep", 2)
        assert "plain,wheel" in complete("pypim sync --format wh", 3)

    def test_commands_are_described_in_full(self, tmp_path: Path) -> None:
        """From the table of the help page, and not cut off."""
        more = {"_PYPIM_COMPLETE": "fish_complete", "COMP_WORDS": "pypim ", "COMP_CWORD": ""}
        lines = _run([], tmp_path, **more).stdout.splitlines()
        assert "plain,config\tCheck, show or describe the configuration." in lines
        assert len(lines) == len([words for words in _every_command() if len(words) == 1])

    def test_fish_shows_them_with_their_commas(self, tmp_path: Path) -> None:
        if shutil.which("fish") is None:
            pytest.skip("fish is not installed")
        script = _run(["completion", "fish"], tmp_path).stdout
        path = {"PATH": f"{Path(_PYPIM).parent}:{os.environ['PATH']}"}
        command = ["fish", "--no-config", "-c", f"{script}\ncomplete -C'pypim conf'; complete -C'pypim sync --keep-g'"]
        found = subprocess.run(
            command, cwd=tmp_path, env=_environment(tmp_path, **path), capture_output=True, text=True, check=True
        )
        assert found.stdout.splitlines() == [
            "config\tCheck, show or describe the configuration.",
            "--keep-going\tLeave out what fails, name it at the end, and exit with 1.",
        ]

    def test_bash_accepts_the_script(self, tmp_path: Path) -> None:
        script = _run(["completion", "bash"], tmp_path).stdout
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_color_is_for_terminals_only(tmp_path: Path) -> None:
    found: Any = _run(["--help"], tmp_path)
    assert "\x1b" not in found.stdout

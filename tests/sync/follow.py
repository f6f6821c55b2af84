"""Does what `why-not` advises, word for word, to the configuration of a mirror."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.sync.mirror import Document, Mirror, Outcome

_UNLESS = "Where nothing then takes it by itself: "
_TAGS = r"accepts the wheel tags (?:cp3(?P<minor>\d+))?\w*-\w+-(?P<platform>\w+)"
_PYTHON = r"has a Python that '>=(?P<python>[\d.]+)' allows"


@dataclass
class Setting:
    """The configuration of the one index, as it is written."""

    url: str
    index: Document
    targets: Document | None = None
    files: dict[str, str] = field(default_factory=dict)

    def write(self, mirror: Mirror) -> None:
        """Write the configuration and the files that it names."""
        mirror.folder.mkdir(exist_ok=True)
        for name, text in self.files.items():
            (mirror.folder / name).write_text(text)
        mirror.configure(self.url, targets=self.targets, **self.index)

    def table(self, name: str) -> Document:
        """One table of the index."""
        found: Document = self.index.setdefault(name, {})
        return found


def options(remedy: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each way on which the remedy says that it goes: the steps, and those that come after if they do not suffice."""
    remedy, _, _ = remedy.partition(" It is held then with --keep-going only")
    first, _, rest = remedy.rstrip(".").partition(_UNLESS)
    first = re.sub(r", or run `pypim sync .*`", "", first.strip().rstrip("."))
    rest = re.sub(r", or run `pypim sync .*`", "", rest)
    for option in re.split(r"; or ", first):
        yield re.split(r"; and | and (?=take|add|set|raise|lower)", option), [s for s in rest.split("; and ") if s]


def follow(setting: Setting, steps: list[str]) -> Setting:
    """A setting changed as the steps say; a step that nobody understands fails."""
    changed = deepcopy(setting)
    for step in steps:
        for pattern, change in _STEPS.items():
            if found := re.fullmatch(pattern, step, re.IGNORECASE):
                change(changed, *found.groups())
                break
        else:
            message = f"nobody knows how to {step!r}"
            raise AssertionError(message)
    return changed


def commands(remedy: str) -> list[list[str]]:
    """The arguments of every command that it names."""
    return [shlex.split(text)[1:] for text in re.findall(r"`(pypim [^`]*)`", remedy)]


def objections(mirror: Mirror, requirement: str) -> Document:
    """What `why-not --json` says of the one index."""
    outcome: Outcome = mirror.run("why-not", requirement, "--json").expect()
    (answer,) = outcome.document["indexes"]
    assert isinstance(answer, dict)
    return answer


# --- the steps ------------------------------------------------------------------------------------------------------
def _take_out(setting: Setting, text: str, key: str) -> None:
    setting.table("filters")[key.replace("-", "_")].remove(text)


def _add(setting: Setting, text: str, key: str) -> None:
    setting.table("filters")[key.replace("-", "_")].append(text)


def _formats(setting: Setting, texts: str) -> None:
    setting.table("filters")["formats"] = json.loads(texts)


def _size(setting: Setting, number: str) -> None:
    setting.table("filters")["max_file_size"] = int(number.replace(",", ""))


def _age(setting: Setting, *_: str) -> None:
    setting.table("filters")["min_age"] = "0 days"


def _rule(setting: Setting, key: str, rule: str) -> None:
    key = key.strip('"')
    assert key not in setting.table("packages"), "it says add, and the key is there"
    setting.table("packages")[key] = rule


def _rules(setting: Setting, key: str, rules: str) -> None:
    setting.table("packages")[key.strip('"')] = json.loads(rules)


def _hash(setting: Setting, digest: str) -> None:
    setting.files = {
        name: re.sub(r"(--hash=\S+)", rf"\1 {digest}", text, count=1) for name, text in setting.files.items()
    }


def _constraint(setting: Setting, constraint: str, version: str) -> None:
    name = re.split(r"[<>=!~]", constraint)[0]
    setting.files = {
        file: re.sub(rf"^{re.escape(constraint)}$", f"{name}<={version}", text, flags=re.MULTILINE)
        for file, text in setting.files.items()
    }


def _target(setting: Setting, words: str) -> None:
    target: Document = {"python": ["3.12"], "platforms": ["linux"]}
    for part in words.split(" and "):
        if tags := re.fullmatch(_TAGS, part):
            target["platforms"] = [tags["platform"]]
            target["python"] = [f"3.{tags['minor']}"] if tags["minor"] else target["python"]
        else:
            bound = re.fullmatch(_PYTHON, part)
            assert bound is not None, part
            target["python"] = [bound["python"]]
    setting.targets = {**(setting.targets or {"linux": {"python": ["3.12"], "platforms": ["linux"]}}), "more": target}


_STEPS: dict[str, Callable[..., Any]] = {
    r'take "(.*)" out of filters\.([\w-]+)': _take_out,
    r'add "(.*)" to filters\.([\w-]+)': _add,
    r"set filters\.formats to (\[.*\])": _formats,
    r"raise filters\.max-file-size to ([\d,]+) bytes or more": _size,
    r"lower filters\.min-age": _age,
    r'add ([\w"\[\],-]+) = "(.*)" to \[indexes\.main\.packages\]': _rule,
    r'write ([\w"\[\],-]+) = (\[.*\]) in \[indexes\.main\.packages\]': _rules,
    r"add (--hash=\S+) to the requirement": _hash,
    r"let the constraint (\S+) admit (\S+)": _constraint,
    r"add a target that (.*)": _target,
}

"""The lines of a requirements file: comments, continuations, variables and options, as pip reads them.

Source: pip's documentation, "Requirements File Format".
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COMMENT = re.compile(r"(?:^|(?<!\s)\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_OPTION_STARTS = re.compile(r"\s(?=--?[A-Za-z])")
_HASH = re.compile(r"(sha256|sha384|sha512):([0-9A-Fa-f]+)", re.ASCII)
_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_ADDRESS = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9.-]*\+)?(?:https?|file|ssh|git|ftp|svn|hg|bzr|sftp)(?:\+[a-z]+)?:", re.IGNORECASE
)
_CREDENTIALS = re.compile(r"//[^/@\s]+@")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tgz|tbz|txz|egg|tar(?:\.[a-z0-9]+)?)(?:\[.*\])?$", re.IGNORECASE)

_BY_CONFIGURATION = "the configuration says which upstream and which files are used"
_BY_INSTALLER = "it concerns the installer, not the mirror"
# Option → (whether it takes a value, why a mirror has no use for it).
_WITHOUT_MEANING: dict[str, tuple[bool, str]] = {
    "--index-url": (True, _BY_CONFIGURATION),
    "--extra-index-url": (True, _BY_CONFIGURATION),
    "--find-links": (True, _BY_CONFIGURATION),
    "--no-index": (False, _BY_CONFIGURATION),
    "--trusted-host": (True, _BY_CONFIGURATION),
    "--pre": (False, "use filters.prereleases or --include-prereleases"),
    "--all-releases": (True, "use filters.prereleases or --include-prereleases"),
    "--only-final": (True, "use filters.prereleases or --include-prereleases"),
    "--no-binary": (True, "use filters.formats or --source-only"),
    "--only-binary": (True, "use filters.formats or --binary-only"),
    "--prefer-binary": (False, "wheels and sdists are both kept where they are needed"),
    "--require-hashes": (False, "hashes are checked wherever they are given"),
    "--uploaded-prior-to": (True, "use filters.min-age"),
    "--use-feature": (True, _BY_INSTALLER),
    "--config-settings": (True, _BY_INSTALLER),
    "--config-setting": (True, _BY_INSTALLER),
    "--global-option": (True, _BY_INSTALLER),
    "--install-option": (True, _BY_INSTALLER),
    "--build-option": (True, _BY_INSTALLER),
    "--use-pep517": (False, _BY_INSTALLER),
    "--no-use-pep517": (False, _BY_INSTALLER),
    "--no-build-isolation": (False, _BY_INSTALLER),
    "--process-dependency-links": (False, _BY_INSTALLER),
}
_SHORT = {
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
    "-i": "--index-url",
    "-f": "--find-links",
    "-C": "--config-settings",
}
_ALIASES = {"--pypi-url": "--index-url", "--requirements": "--requirement", "--constraints": "--constraint"}
_OF_REQUIREMENT = frozenset(
    ("--hash", "--config-settings", "--config-setting", "--global-option", "--install-option", "--build-option")
)


class Include(msgspec.Struct, frozen=True):
    """Another file to read, relative to the one that names it."""

    path: str
    is_constraint: bool


class Note(msgspec.Struct, frozen=True):
    """An option without meaning for a mirror."""

    option: str
    reason: str


class Fault(msgspec.Struct, frozen=True):
    """Something that cannot be used: what, why, and what to do."""

    text: str
    reason: str
    hint: str


class RequirementText(msgspec.Struct, frozen=True):
    """A requirement, not read yet, and the hashes that stand behind it."""

    text: str
    hashes: frozenset[str] = frozenset()


Found = Include | Note | Fault | RequirementText


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers: joined where one ends in a backslash, without comments."""
    joined: list[str] = []
    first = 0
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        first = first if joined else number
        is_comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not is_comment:
            joined.append(line[:-1])
            continue
        # A comment in the middle ends what was continued, and is no part of it.
        joined.append(f" {line}" if is_comment else line)
        yield from _without_comment(first, "".join(joined))
        joined = []
    if joined:
        yield from _without_comment(first, "".join(joined))


def _without_comment(number: int, line: str) -> Iterator[tuple[int, str]]:
    stripped = _COMMENT.sub("", line).strip()
    if stripped:
        yield number, stripped


def parse_line(line: str, variables: Mapping[str, str]) -> list[Found]:
    """Everything that one logical line says."""
    unset = [name for name in _VARIABLE.findall(line) if name not in variables]
    if unset:
        hint = f"Set {' and '.join(unset)} in the environment, or write the value itself."
        return [Fault(line, "a variable is not set", hint)]
    line = _VARIABLE.sub(lambda found: variables[found.group(1)], line)
    if line.startswith("-"):
        return _parse_options(line, line, behind_requirement=False)[0]
    text, *rest = _OPTION_STARTS.split(line, maxsplit=1)
    if not rest:
        return [RequirementText(text.strip())]
    found, hashes = _parse_options(rest[0], line, behind_requirement=True)
    return [*found, RequirementText(text.strip(), hashes)]


def redacted(text: str) -> str:
    """The text without the user name and password of an address."""
    return _CREDENTIALS.sub("//…@", text)


def is_address_or_path(text: str) -> bool:
    """Whether a text that is no requirement is a URL, a folder or an archive."""
    if _ADDRESS.match(text) or text.startswith((".", "/", "~", "\\")) or text[1:3] in {":\\", ":/"}:
        return True
    bare = text.partition(";")[0].partition(" ")[0]
    return "/" in bare or "\\" in bare or _ARCHIVE.search(bare) is not None


def _parse_options(text: str, line: str, *, behind_requirement: bool) -> tuple[list[Found], frozenset[str]]:
    found: list[Found] = []
    hashes: set[str] = set()
    try:
        words = shlex.split(text)
    except ValueError as fault:
        return [Fault(line, f"it cannot be taken apart: {fault}", "Close the quotation marks.")], frozenset()
    while words:
        option, value = _next_option(words)
        if option == "--hash" and value is not None and behind_requirement:
            parsed = _parse_hash(value)
            if isinstance(parsed, Fault):
                found.append(parsed)
            else:
                hashes.add(parsed)
        elif option == "--hash" and not behind_requirement:
            found.append(Fault(line, "--hash belongs behind a requirement", "Put both on one line, or continue it."))
            break
        elif behind_requirement and option not in _OF_REQUIREMENT:
            found.append(Fault(line, f"{option} may not stand behind a requirement", "Put it on a line of its own."))
            break
        else:
            found.append(_judge(option, value))
    return found, frozenset(hashes)


def _next_option(words: list[str]) -> tuple[str, str | None]:
    """Take one option with its value off the front: `-r x`, `-rx`, `--name x` and `--name=x` are all valid."""
    word = words.pop(0)
    if word.startswith("--"):
        option, equals, value = word.partition("=")
        option = _ALIASES.get(option, option)
        if equals:
            return option, value
    else:
        option = _SHORT.get(word[:2], word)
        if option != word and word[2:]:
            return option, word[2:].removeprefix("=")
    takes_value = (
        option in {"--requirement", "--constraint", "--editable", "--hash"}
        or (_WITHOUT_MEANING.get(option, (False, ""))[0])
    )
    return option, words.pop(0) if takes_value and words else None


def _judge(option: str, value: str | None) -> Found:
    """What an option means that is no hash."""
    shown = f"{option} {value}" if value else option
    if option in {"--requirement", "--constraint"}:
        if not value:
            return Fault(option, "it names no file", "Write the path of the file behind it.")
        if _ADDRESS.match(value):
            return Fault(shown, "it names an address", "Download the file, and name its path here.")
        return Include(value, is_constraint=option == "--constraint")
    if option == "--editable":
        hint = "Mirror its requirements by naming them, or leave the line to the installer."
        return Fault(shown, "an editable project has no release that could be mirrored", hint)
    if option in _WITHOUT_MEANING:
        # The value may be an address with a password in it, which has no place in a report.
        return Note(option, _WITHOUT_MEANING[option][1])
    if option == "--hash":
        return Fault(option, "it has no value", "Write --hash=sha256:<64 hex digits> behind a requirement.")
    return Fault(shown, "this is not an option of requirements files", "Remove it, or correct its spelling.")


def _parse_hash(value: str) -> str | Fault:
    """`algorithm:hex`; only the algorithms that pip's hash-checking mode accepts."""
    found = _HASH.fullmatch(value)
    if not found or len(found.group(2)) != _HEX_DIGITS[found.group(1)]:
        hint = "Write sha256:<64 hex digits>, or one of sha384 and sha512."
        return Fault(f"--hash={value}", "this is not a hash that can be checked", hint)
    return f"{found.group(1)}:{found.group(2).lower()}"

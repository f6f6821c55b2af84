"""Platform names: what a person calls a machine, turned into the wheel tags it accepts and its marker values.

A name is a wheel platform tag (PEP 425, 600, 656), one of uv's `--python-platform` names, or `linux`, `windows`,
`macos` with uv's meaning. Nothing here asks the machine it runs on.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from packaging.tags import android_platforms, ios_platforms, mac_platforms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Platform(msgspec.Struct, frozen=True):
    """What a machine accepts and what it says of itself."""

    tags: tuple[str, ...]
    """Wheel platform tags, best first; never empty, without `any`."""
    variables: tuple[tuple[str, str], ...]
    """Marker variables that are known of it (PEP 508); `platform_release` and `platform_version` never are."""


_GLIBC_BY_NAME = (17, 28, *range(31, 41))

# uv 0.13's names (`uv pip compile --help`) → the wheel platform tag of the oldest machine that uv takes each for.
SHORT_NAMES: dict[str, str] = {
    "linux": "manylinux_2_28_x86_64",
    "windows": "win_amd64",
    "macos": "macosx_13_0_arm64",
    "x86_64-pc-windows-msvc": "win_amd64",
    "i686-pc-windows-msvc": "win32",
    "aarch64-pc-windows-msvc": "win_arm64",
    "x86_64-unknown-linux-gnu": "manylinux_2_28_x86_64",
    "aarch64-unknown-linux-gnu": "manylinux_2_28_aarch64",
    "x86_64-unknown-linux-musl": "musllinux_1_2_x86_64",
    "aarch64-unknown-linux-musl": "musllinux_1_2_aarch64",
    "riscv64-unknown-linux": "manylinux_2_39_riscv64",
    "x86_64-apple-darwin": "macosx_13_0_x86_64",
    "aarch64-apple-darwin": "macosx_13_0_arm64",
    "x86_64-manylinux2014": "manylinux2014_x86_64",
    "aarch64-manylinux2014": "manylinux2014_aarch64",
    **{
        f"{arch}-manylinux_2_{minor}": f"manylinux_2_{minor}_{arch}"
        for arch in ("x86_64", "aarch64")
        for minor in _GLIBC_BY_NAME
    },
    "x86_64-linux-android": "android_24_x86_64",
    "aarch64-linux-android": "android_24_arm64_v8a",
    "arm64-apple-ios": "ios_13_0_arm64_iphoneos",
    "arm64-apple-ios-simulator": "ios_13_0_arm64_iphonesimulator",
    "x86_64-apple-ios-simulator": "ios_13_0_x86_64_iphonesimulator",
    "wasm32-pyodide2024": "pyemscripten_2024_0_wasm32",
    "wasm32-pyodide2025": "pyemscripten_2025_0_wasm32",
}

_LEGACY_GLIBC = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 599, 571, 513
_GLIBC_OF_LEGACY = {name: minor for minor, name in _LEGACY_GLIBC.items()}
_OLD_ARCHITECTURES = frozenset({"x86_64", "i686"})  # the only ones of manylinux1 and manylinux2010
_ARCHITECTURES = _OLD_ARCHITECTURES | frozenset(
    ("aarch64", "armv6l", "armv7l", "armv8l", "loongarch64", "ppc64", "ppc64le", "riscv64", "s390x")
)
_WINDOWS_MACHINES = {"win32": "x86", "win_amd64": "AMD64", "win_arm64": "ARM64"}  # platform.machine() of CPython
_ANDROID_MACHINES = {"arm64_v8a": "aarch64", "x86_64": "x86_64", "armeabi_v7a": "armv7l", "x86": "i686"}
_MAC_MACHINES = frozenset({"arm64", "x86_64"})

_ARCHITECTURE = "|".join(sorted(_ARCHITECTURES, key=len, reverse=True))
_MANYLINUX = re.compile(rf"manylinux_2_(\d{{1,3}})_({_ARCHITECTURE})")
_LEGACY_MANYLINUX = re.compile(rf"(manylinux(?:1|2010|2014))_({_ARCHITECTURE})")
_MUSLLINUX = re.compile(rf"musllinux_(\d{{1,3}})_(\d{{1,3}})_({_ARCHITECTURE})")
_LINUX = re.compile(rf"linux_({_ARCHITECTURE})")
_MACOSX = re.compile(r"macosx_(\d{1,3})_(\d{1,3})_(\w+)")
_ANDROID = re.compile(r"android_(\d{1,3})_(arm64_v8a|armeabi_v7a|x86|x86_64)")
_IOS = re.compile(r"ios_(\d{1,3})_(\d{1,3})_(arm64|x86_64)_(iphoneos|iphonesimulator)")
_PYEMSCRIPTEN = re.compile(r"(?:pyemscripten|pyodide)_(\w+)_wasm32")
_EMSCRIPTEN = re.compile(r"emscripten_\w+_wasm32")


@lru_cache(maxsize=1024)
def parse_platform(text: str) -> Platform | None:
    """Everything that a machine of this name accepts, and its marker values; None for a name we do not know."""
    tag = SHORT_NAMES.get(text.lower(), text.lower())
    tags = _accepted(tag)
    return Platform(tags, marker_values(tag)) if tags else None


def near_matches(text: str) -> tuple[str, ...]:
    """The known names that a person may have meant, best first."""
    examples = ("musllinux_1_2_x86_64", "musllinux_1_2_aarch64", "macosx_14_0_arm64", "macosx_14_0_x86_64")
    known = [*SHORT_NAMES, *SHORT_NAMES.values(), *examples]
    return tuple(dict.fromkeys(get_close_matches(text.lower(), known, n=3, cutoff=0.5)))


def machine_platform(platform_tags: Iterable[str]) -> str:
    """The one name that stands for a machine, out of what `packaging.tags.platform_tags()` says of it (best first).

    A plain `linux_*` comes first in that list but says nothing of the C library, so the newest manylinux or musllinux
    goes before it. An empty list gives `any`, which no platform is called.
    """
    tags = list(platform_tags)
    of_library = (tag for tag in tags if tag.startswith(("manylinux_", "musllinux_")))
    return next(of_library, tags[0] if tags else "any")


@lru_cache(maxsize=4096)
def marker_values(tag: str) -> tuple[tuple[str, str], ...]:
    """The marker variables that a wheel platform tag decides, as CPython sets them there; none for `any`."""
    if tag.startswith(("linux_", "manylinux", "musllinux_")):
        found = _MANYLINUX.fullmatch(tag) or _LEGACY_MANYLINUX.fullmatch(tag)
        found = found or _MUSLLINUX.fullmatch(tag) or _LINUX.fullmatch(tag)
        return _variables("linux", "posix", "Linux", found.groups()[-1] if found else "")
    if tag in _WINDOWS_MACHINES:
        return _variables("win32", "nt", "Windows", _WINDOWS_MACHINES[tag])
    if found := _MACOSX.fullmatch(tag):
        # A fat binary (universal2, intel …) runs on several machines, so it decides none.
        return _variables("darwin", "posix", "Darwin", found.group(3) if found.group(3) in _MAC_MACHINES else "")
    if found := _ANDROID.fullmatch(tag):
        return _variables("android", "posix", "Android", _ANDROID_MACHINES[found.group(2)])
    if found := _IOS.fullmatch(tag):
        return _variables("ios", "posix", "iOS", found.group(3))
    if _PYEMSCRIPTEN.fullmatch(tag) or _EMSCRIPTEN.fullmatch(tag):
        return _variables("emscripten", "posix", "Emscripten", "wasm32")
    return ()


def _variables(sys_platform: str, os_name: str, system: str, machine: str) -> tuple[tuple[str, str], ...]:
    known = (("os_name", os_name), ("platform_system", system), ("sys_platform", sys_platform))
    return (*known, ("platform_machine", machine)) if machine else known


def _accepted(tag: str) -> tuple[str, ...]:
    """The tag and everything that such a machine accepts besides, best first; empty for a tag we do not know."""
    if tag in _WINDOWS_MACHINES or _LINUX.fullmatch(tag):
        return (tag,)  # `linux_*` does not say which C library there is, so nothing else is certain to run
    for pattern, accepted in _FAMILIES:
        if found := pattern.fullmatch(tag):
            return tuple(dict.fromkeys(accepted(found)))
    return ()


def _manylinux(found: re.Match[str]) -> Iterator[str]:
    return _glibc(int(found.group(1)), found.group(2))


def _legacy_manylinux(found: re.Match[str]) -> Iterator[str]:
    return _glibc(_GLIBC_OF_LEGACY[found.group(1)], found.group(2))


def _glibc(newest: int, arch: str) -> Iterator[str]:
    """Every manylinux tag down to the oldest of the architecture, each followed by its old name (PEP 600)."""
    oldest = 5 if arch in _OLD_ARCHITECTURES else 17
    if newest < oldest:
        return
    yield f"linux_{arch}"
    for minor in range(newest, oldest - 1, -1):
        yield f"manylinux_2_{minor}_{arch}"
        if minor in _LEGACY_GLIBC:
            yield f"{_LEGACY_GLIBC[minor]}_{arch}"


def _musllinux(found: re.Match[str]) -> Iterator[str]:
    """Every older minor version of the same musl (PEP 656)."""
    major, newest, arch = found.groups()
    yield f"linux_{arch}"
    for minor in range(int(newest), -1, -1):
        yield f"musllinux_{major}_{minor}_{arch}"


def _macosx(found: re.Match[str]) -> Iterator[str]:
    """From macOS 11 on only minor version 0 counts; a tag that was named is accepted all the same."""
    if found.group(3) in _MAC_MACHINES:
        yield found.group()
        yield from mac_platforms((int(found.group(1)), int(found.group(2))), found.group(3))


def _android(found: re.Match[str]) -> Iterator[str]:
    return android_platforms(int(found.group(1)), found.group(2))


def _ios(found: re.Match[str]) -> Iterator[str]:
    return ios_platforms((int(found.group(1)), int(found.group(2))), f"{found.group(3)}_{found.group(4)}")


def _pyemscripten(found: re.Match[str]) -> Iterator[str]:
    """One platform has two names (PEP 783 renamed it)."""
    yield f"pyemscripten_{found.group(1)}_wasm32"
    yield f"pyodide_{found.group(1)}_wasm32"


_FAMILIES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Iterator[str]]], ...] = (
    (_MANYLINUX, _manylinux),
    (_LEGACY_MANYLINUX, _legacy_manylinux),
    (_MUSLLINUX, _musllinux),
    (_MACOSX, _macosx),
    (_ANDROID, _android),
    (_IOS, _ios),
    (_PYEMSCRIPTEN, _pyemscripten),
    (_EMSCRIPTEN, lambda found: iter((found.group(),))),
)

"""A parsed TOML document becomes a typed value, and every fault of its shape is found in one go, with its line.

`msgspec` stops at the first fault; a person who must mend a file wants to see all of them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeGuard, TypeVar, get_args, get_origin

import msgspec

from pypim.core.faults import ConfigFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pypim.core.positions import KeyPath, Positions

_T = TypeVar("_T", bound=msgspec.Struct)
_Kind = type[msgspec.Struct]
_KIND = "kind"
_NOTHING: Mapping[str, str] = MappingProxyType({})

_WHERE = re.compile(r" - at `(?:key in )?\$?(?P<path>[^`]*)`$")
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "datetime": "a date",
    "date": "a date",
    "time": "a time",
}


class Faults:
    """Collects what is wrong with one document; `source` is its path, `text` its TOML."""

    def __init__(self, positions: Positions, source: str, text: str) -> None:
        self._positions = positions
        self._source = source
        self._text = text
        self._found: list[ConfigFault] = []

    def add(self, path: KeyPath, message: str, remedy: str = "") -> None:
        """A fault at that key."""
        line = self._positions.line(path)
        self._found.append(ConfigFault(file=self._source, line=line, key=spell(path), message=message, remedy=remedy))

    def add_missing(self, path: KeyPath, message: str, remedy: str = "") -> None:
        """The fault of a key that has no value, unless it is known already why."""
        key = spell(path)
        if not any(fault.key == key or fault.key.startswith((f"{key}[", f"{key}.")) for fault in self._found):
            self.add(path, message, remedy)

    def line(self, path: KeyPath) -> int | None:
        """The line of that key."""
        return self._positions.line(path)

    def written(self, path: KeyPath, value: float) -> str:
        """A number as the file has it: 3.10 is another version than 3.1, and the same number."""
        found: Any = tomllib.loads(self._text, parse_float=str)
        for part in path:
            found = found[part]
        return found if isinstance(found, str) else str(value)

    def found(self) -> list[ConfigFault]:
        """All faults in the order of their lines, each once."""
        return in_order(self._found)


def in_order(faults: Iterable[ConfigFault]) -> list[ConfigFault]:
    """Faults in the order of their lines, file by file, each once; what is read first comes first."""
    unique = dict.fromkeys(faults)
    files = list(dict.fromkeys(fault.file for fault in unique))
    return sorted(unique, key=lambda fault: (files.index(fault.file), fault.line or 0))


def decode(
    raw: dict[str, Any],
    kind: type[_T],
    faults: Faults,
    path: KeyPath = (),
    strange: Mapping[str, str] = _NOTHING,
) -> _T:
    """Build a struct from a table; what is wrong is added to `faults` and has its default value in the result.

    `strange` are keys that the struct has not, with what to say of each.
    """
    given: dict[str, Any] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key, value in raw.items():
        if key not in fields:
            if message := strange.get(key, unknown(key, fields, "key")):
                faults.add((*path, key), message)
            continue
        decoded = _value(value, fields[key].type, faults, (*path, key))
        if decoded is not msgspec.UNSET:
            given[fields[key].name] = decoded
    return kind(**given)


def _decode_by_kind(raw: dict[str, Any], kinds: Mapping[str, _Kind], faults: Faults, path: KeyPath) -> msgspec.Struct:
    """The struct that the key `kind` chooses, the first where it is left out or wrong.

    Of a wrong kind nobody knows which keys it has, so those of any kind are let pass.
    """
    chosen = first = next(iter(kinds))
    is_known = True
    if _KIND in raw:
        given = _value(raw[_KIND], str, faults, (*path, _KIND))
        is_known = given in kinds
        if isinstance(given, str) and not is_known:
            faults.add((*path, _KIND), unknown(given, kinds, _KIND))
        chosen = str(given) if is_known else first
    strange = {_KIND: ""}
    for key in raw:
        having = [f'"{name}"' for name, kind in kinds.items() if key in kind.__struct_encode_fields__]
        if having and f'"{chosen}"' not in having:
            sentence = f'an index of kind "{chosen}" has no {key!r}, which is a key of kind {" or ".join(having)}'
            strange[key] = sentence if is_known else ""
    return decode(raw, kinds[chosen], faults, path, strange)


def unknown(name: str, known: Iterable[str], noun: str) -> str:
    """A sentence for a name that is not among the known ones, with the nearest of them or all of them."""
    from difflib import get_close_matches

    names = list(known)
    spelled = name.lower().replace("_", "-")
    if spelled in names or (near := get_close_matches(spelled, names, n=1)):
        return f"unknown {noun} {name!r}, did you mean {spelled if spelled in names else near[0]!r}?"
    return f"unknown {noun} {name!r} (known: {', '.join(sorted(names)) or 'none'})"


def spell(path: KeyPath) -> str:
    """A key path as people write it: `indexes.main.targets[2]`, quoted where a bare key would not do."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f"{'.' if text else ''}{part if re.fullmatch('[A-Za-z0-9_-]+', part) else repr(part)}"
    return text


def _value(value: object, kind: object, faults: Faults, path: KeyPath) -> object:
    """A value of the type that its field asks for, or UNSET when it is wrong."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if isinstance(value, dict) and _is_struct(bare):
        return decode(value, bare, faults, path)
    if isinstance(value, dict) and (kinds := _kinds(bare)):
        return _decode_by_kind(value, kinds, faults, path)
    if isinstance(value, dict) and get_origin(bare) is dict:
        inner = get_args(bare)[1]
        decoded = {name: _value(element, inner, faults, (*path, name)) for name, element in value.items()}
        return {name: element for name, element in decoded.items() if element is not msgspec.UNSET}
    if isinstance(value, list) and get_origin(bare) is tuple:
        inner = get_args(bare)[0]
        elements = [_value(element, inner, faults, (*path, number)) for number, element in enumerate(value)]
        return msgspec.UNSET if msgspec.UNSET in elements else tuple(elements)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        _add(error, (value, kind), faults, path)
        return msgspec.UNSET


def _kinds(kind: object) -> dict[str, _Kind]:
    """The structs of a union between which the key `kind` chooses, by its value; empty for any other type."""
    structs = [part for part in get_args(kind) if _is_struct(part)]
    return {
        str(struct.__struct_config__.tag): struct for struct in structs if struct.__struct_config__.tag_field == _KIND
    }


def _is_struct(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _add(error: msgspec.ValidationError, given: tuple[object, object], faults: Faults, path: KeyPath) -> None:
    """Its sentence in the words of TOML, at the element that it means."""
    value, kind = given
    text = str(error)
    if where := _WHERE.search(text):
        text = text[: where.start()]
        path = (*path, *(int(number) for number in re.findall(r"\[(\d+)\]", where["path"])))
    if text.startswith("Invalid enum value"):
        choices = ", ".join(repr(choice) for choice in _choices(kind))
        text = f"{text.removeprefix('Invalid enum value ')} is none of {choices}"
    text = text.replace(", got ", ", found ").replace(" | null", "")
    text = re.sub(r"`([^`]*)`", lambda match: " or ".join(_WORDS.get(w, w) for w in match[1].split(" | ")), text)
    if "a string" in text and isinstance(value, (int, float)) and not isinstance(value, bool):
        text += f': write it as "{faults.written(path, value)}"'
    faults.add(path, text[:1].lower() + text[1:])


def _choices(kind: object) -> list[str]:
    """The values of every Literal inside a type."""
    if get_origin(kind) is Literal:
        return list(get_args(kind))
    return [choice for inner in get_args(kind) for choice in _choices(inner)]

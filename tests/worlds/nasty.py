"""Entries of project pages that no reader may choke on: what real and hostile indexes have served.

Every one stands beside good entries; the page must survive it and nothing may be written outside the store.
"""

from __future__ import annotations

from typing import Any

_SHA256 = "0" * 64
_GOOD: dict[str, Any] = {
    "filename": "evil-9.0-py3-none-any.whl",
    "url": "/packages/evil-9.0-py3-none-any.whl",
    "hashes": {"sha256": _SHA256},
    "size": 3,
    "upload-time": "2024-01-01T00:00:00Z",
}

HOSTILE_NAMES = [
    "../evil-9.0-py3-none-any.whl",
    "../../../../tmp/evil-9.0-py3-none-any.whl",
    "..",
    ".",
    "",
    "/etc/evil-9.0-py3-none-any.whl",
    "//host.example/evil-9.0-py3-none-any.whl",
    "%2e%2e%2fevil-9.0-py3-none-any.whl",
    "%2e%2e/evil-9.0-py3-none-any.whl",
    "..%5cevil-9.0-py3-none-any.whl",
    "..\\evil-9.0-py3-none-any.whl",
    "C:\\evil-9.0-py3-none-any.whl",
    "evil-9.0-py3-none-any.whl\0.txt",
    "evil-9.0-py3-none-any.whl\n",
    "evil-9.0-py3-none-any.whl/",
    "evil\u202e-9.0-py3-none-any.whl",
    "evil-" + "9" * 300 + "-py3-none-any.whl",
    ".pypim",
    "evil-9.0-py3-none-any.whl.metadata",
    "evil\udcff-9.0.tar.gz",
]
"""File names that must never become a path; the last is not even text."""


def _with(**changes: Any) -> dict[str, Any]:
    renamed = {key.replace("_", "-"): value for key, value in changes.items()}
    return {key: value for key, value in {**_GOOD, **renamed}.items() if value is not ...}


def _numbered(entries: list[Any]) -> list[Any]:
    """Give each usable entry a file name of its own, so that one cannot hide behind another."""
    for number, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("filename") == _GOOD["filename"]:
            entry["filename"] = f"evil-9.{number}-py3-none-any.whl"
            if entry.get("url") == _GOOD["url"]:
                entry["url"] = f"/packages/{entry['filename']}"
    return entries


MALFORMED_ENTRIES: list[Any] = _numbered(
    [
        None,
        7,
        "text",
        [],
        {},
        _with(filename=...),
        _with(filename=None),
        _with(filename=17),
        _with(url=...),
        _with(url=None),
        _with(url=17),
        _with(url=""),
        _with(url="http://[::1"),
        _with(url="file:///etc/passwd"),
        _with(url="javascript:alert(1)"),
        _with(url="http://127.0.0.1:99999/evil.whl"),
        _with(hashes=...),
        _with(hashes=None),
        _with(hashes=[]),
        _with(hashes={"sha256": "123"}),
        _with(hashes={"sha256": "../../../../" + "0" * 52}),
        _with(hashes={"sha256": None}),
        _with(hashes={"sha256": 5}),
        _with(hashes={"blake2b_256": _SHA256}),
        _with(hashes={"crc32": "00000000"}),
        _with(size=None),
        _with(size="123"),
        _with(size=-1),
        _with(size=1.5),
        _with(size=10**30),
        _with(upload_time=None),
        _with(upload_time=""),
        _with(upload_time="yesterday"),
        _with(upload_time="2024-01-01T00:00:00"),
        _with(upload_time="2024-01-01T00:00:00+00:00"),
        _with(upload_time="2024-13-41T00:00:00Z"),
        _with(upload_time=1704067200),
        _with(yanked=None),
        _with(yanked=""),
        _with(yanked=1),
        _with(yanked=[]),
        _with(requires_python=None),
        _with(requires_python=""),
        _with(requires_python="snake>3"),
        _with(requires_python=">=3.5.*"),
        _with(requires_python=3),
        _with(core_metadata=None),
        _with(core_metadata={}),
        _with(core_metadata="true"),
        _with(core_metadata={"sha256": "xyz"}),
        _with(gpg_sig="yes"),
        _with(provenance="http://"),
        _with(provenance=5),
        _with(**{"dist-info-metadata": {"sha256": _SHA256}}),
        _with(unknown={"deep": [1, {"deeper": None}]}),
        _with(filename="evil-2004d.tar.gz"),
        _with(filename="evil.zip"),
        _with(filename="evil-1.0_local-py3-none-any.whl"),
        _with(filename="evil-1.0-x1-py3-none-any.whl"),
        _with(filename="evil-1.0-py3-none-linux_x86_64-x86_64_v3.whl"),
        _with(filename="evil-1.0-variants.json"),
        _with(filename="evil-1.0-py3-none-any.whlx"),
        _with(filename="other-1.0-py3-none-any.whl"),
        _with(filename="evil-1.0.exe.asc"),
    ]
)
"""`files[]` values that break a rule of PEP 691 or 700, or only the habits of readers."""

HOSTILE_ENTRIES: list[Any] = [_with(filename=name, url=f"/packages/h{n}") for n, name in enumerate(HOSTILE_NAMES)]

NASTY_ENTRIES: list[Any] = [*MALFORMED_ENTRIES, *HOSTILE_ENTRIES]

NASTY_ANCHORS = [
    "<a>no link</a>",
    '<a href="">nothing</a>',
    '<a href="#top">to the top</a>',
    '<a href="/">home</a>',
    '<a href="../">up</a>',
    '<A HREF="/packages/evil-9.0-py3-none-any.whl#SHA256=ABC">evil-9.0-py3-none-any.whl</A>',
    '<a href="/packages/evil-9.1-py3-none-any.whl#sha1=12">evil-9.1-py3-none-any.whl</a>',
    '<a href="/packages/evil-9.2-py3-none-any.whl#md5=">evil-9.2-py3-none-any.whl</a>',
    '<a href="/packages/evil-9.3-py3-none-any.whl" data-yanked>evil-9.3-py3-none-any.whl</a>',
    '<a href="/packages/evil-9.4-py3-none-any.whl" data-core-metadata="false">evil-9.4-py3-none-any.whl</a>',
    '<a href="/packages/evil-9.5-py3-none-any.whl" data-core-metadata="sha256=nothex">evil</a>',
    '<a href="/packages/evil-9.6-py3-none-any.whl" data-requires-python=">=3">evil-9.6-py3-none-any.whl</a>',
    '<a href="/packages/evil-9.7-py3-none-any.whl" data-size="many" data-upload-time="then">evil</a>',
    '<a href="/packages/%2e%2e%2f%2e%2e%2fevil-9.8-py3-none-any.whl">evil-9.8-py3-none-any.whl</a>',
    '<a href="/packages/..%2fevil-9.9-py3-none-any.whl">../evil-9.9-py3-none-any.whl</a>',
    '<a href="../../../../../etc/passwd">evil-9.10-py3-none-any.whl</a>',
    '<a href="file:///etc/passwd">evil-9.11-py3-none-any.whl</a>',
    '<a href="javascript:alert(1)">evil-9.12-py3-none-any.whl</a>',
    '<a href="mailto:me@host.example">mail</a>',
    '<a href="http://[::1">evil-9.13-py3-none-any.whl</a>',
    '<a href="/packages/evil-9.14.tar.gz?download=1#egg=evil">evil-9.14.tar.gz</a>',
    '<!-- <a href="/packages/evil-9.15-py3-none-any.whl">evil-9.15-py3-none-any.whl</a> -->',
    '<a href="/packages/evil-9.16-py3-none-any.whl">unclosed',
    "<a href='/packages/evil-9.17-py3-none-any.whl'>evil&lt;script&gt;</a>",
    '<a href="/packages/evil-9.18-py3-none-any.whl\t">evil-9.18-py3-none-any.whl</a>',
    "<p><b></p></b><table><a href=/packages/evil-9.19-py3-none-any.whl>evil-9.19-py3-none-any.whl</table>",
]
"""Links as old, lax and hostile pages have them."""

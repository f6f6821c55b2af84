"""Addresses and paths of a configuration, made absolute: relative ones are meant relative to the file's folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from pypim.config.model import Layout, Upstream

PRESET = "pypi"


def absolute(folder: Path, text: str) -> Path:
    """A path of the configuration, without `..` and without asking the file system."""
    return Path(os.path.normpath(folder / Path(text).expanduser()))


def preset_url() -> str:
    """The Simple API of the index that everybody means by its name."""
    from distlib.index import DEFAULT_INDEX

    address = urlsplit(DEFAULT_INDEX)
    return f"{address.scheme}://{address.netloc}/simple/"


def upstream_url(text: str, folder: Path, *, is_flat: bool = False) -> str:
    """The absolute URL that the `url` of an upstream means. Raises ValueError with a sentence."""
    if text == PRESET:
        return preset_url()
    if "://" in text:
        address = urlsplit(text)
        if address.scheme not in {"http", "https", "file"}:
            raise ValueError(f"{address.scheme!r} is no scheme of an index; use http, https or file")
        if address.scheme == "file" and address.netloc not in {"", "localhost"}:
            raise ValueError(f"the file: URL is of another machine, {address.hostname!r}; a path follows file://")
        if address.scheme != "file" and not address.hostname:
            raise ValueError("the URL has no host")
        if re.search(r"\s", address.netloc) or address.port == 0:  # a port that is no number raises by itself
            raise ValueError("the URL has no usable host and port")
        url = text
    elif re.search(r"[/\\]|^[.~]", text):
        url = absolute(folder, text).as_uri()
    else:
        raise ValueError(f'{text!r} is neither "{PRESET}", a URL nor a path (write "./{text}" for a folder)')
    return url if is_flat or url.endswith("/") or "?" in url else url + "/"


def file_host(text: str) -> str:
    """The URL that a file host means, ending with "/" and without `packages/`. Raises ValueError with a sentence."""
    address = urlsplit(text)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise ValueError("this is not the http or https URL of a host")
    if address.username is not None or address.query or address.fragment:
        raise ValueError("it takes neither user name nor query; names and passwords go into your netrc file")
    path = address.path.rstrip("/").removesuffix("/packages")
    return address._replace(path=f"{path}/").geturl()


def layout_at(url: str) -> Layout:
    """What a URL tells of what is there: HTML by its name is one page, and `simple` is what a Simple API is called."""
    path = urlsplit(url).path
    if re.search(r"\.html?$", path, re.IGNORECASE):
        return Layout.FLAT
    is_called_simple = path.rstrip("/").rpartition("/")[2] in {"simple", "+simple"}
    return Layout.SIMPLE if is_called_simple and not url.startswith("file:") else Layout.AUTO


def upstream_at(name: str, text: str, folder: Path, layout: Layout = Layout.AUTO) -> Upstream:
    """The upstream whose `url` is that text, with defaults for everything else. Raises ValueError with a sentence."""
    page_url = upstream_url(text, folder, is_flat=True)
    settled = layout_at(page_url) if layout is Layout.AUTO else layout
    url = upstream_url(text, folder, is_flat=settled is Layout.FLAT)
    return Upstream(name=name, url=url, page_url=page_url, layout=settled)


def simple_api_of(endpoint: str) -> str:
    """The `url` to write for the address that another tool has of an index: the preset's name, or its Simple API."""
    if endpoint == PRESET:
        return PRESET
    preset = urlsplit(preset_url())
    address = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    if address.hostname in {preset.hostname, f"www.{preset.hostname}"}:
        return PRESET
    path = address.path.rstrip("/").removesuffix("/pypi")
    path = path if path.endswith("/simple") else f"{path}/simple"
    return address._replace(path=f"{path}/").geturl()

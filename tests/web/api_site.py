"""A server with an index of each kind but a proxy, with accounts and with files, for the tests of its API."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pypim.core.access import Action, Scope
from pypim.core.tokens import User, made_token
from pypim.store.catalog import Catalog
from pypim.web.passwords import hash_password
from tests.sync.mirror import pypim
from tests.web.asking import Answer, ask
from tests.web.serving import RunningServer
from tests.web.uploading import body_of, wheel
from tests.worlds.server import WorldServer
from tests.worlds.world import World, project

if TYPE_CHECKING:
    from types import TracebackType

WORLD = World.of(project("app", "1.0", "1.1", requires=["lib>=1"]), project("lib", "1.0", "1.1"))
CONFIG = """
[server]
default-index = "all"
[upstreams.up]
url = "{url}"
[indexes.main]
kind = "mirror"
upstream = "up"
[indexes.main.packages]
app = "latest"
[indexes.private]
kind = "hosted"
[indexes.closed]
kind = "hosted"
read = "authenticated"
[indexes.all]
kind = "group"
members = ["private", "main"]
[indexes.cache]
kind = "proxy"
upstream = "up"
[indexes.strict]
kind = "hosted"
reserve = ["li*"]
[indexes.nested]
kind = "group"
members = ["strict", "all", "cache"]
[access]
failures-per-minute = 1000000
[[access.rights]]
who = ["root"]
may = ["admin"]
[[access.rights]]
who = ["some"]
projects = ["acme-*"]
may = ["admin"]
[[access.rights]]
who = ["reader"]
may = ["read"]
"""
PASSWORD = "correct horse battery"
USERS = ("root", "some", "reader")


def basic(user: str, password: str = PASSWORD) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


class ApiSite:
    """Entered like any other context; `root` and the other users have PASSWORD."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "data"
        self.tokens: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._world = WorldServer(WORLD).__enter__()
        config = self.folder / "pypim.toml"
        config.write_text(CONFIG.format(url=self._world.url), "utf-8")
        pypim("-c", config, "sync").expect(0)
        self._make_accounts()
        self._server = RunningServer(config).__enter__()
        for index, name in (("private", "ours"), ("private", "acme-app"), ("closed", "secret")):
            for version in ("1.0", "1.1"):
                assert self.upload(index, name, version).status == 200
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)
        self._world.__exit__(kind, error, trace)

    def _make_accounts(self) -> None:
        with Catalog.open(self.store / "catalog.sqlite") as catalog:
            now, hashed = time.time(), hash_password(PASSWORD)
            for name in USERS:
                user = User(name=name, password_hash=hashed, created_at=now, changed_at=now)
                catalog.accounts.keep_user(user)
            for number, (name, scope) in enumerate(
                {
                    "all": Scope(actions=frozenset({Action.ADMIN})),
                    "acme": Scope(projects=("acme-*",), actions=frozenset({Action.ADMIN})),
                    "private": Scope(indexes=("private",), actions=frozenset({Action.ADMIN})),
                    "upload": Scope(actions=frozenset({Action.UPLOAD, Action.READ})),
                }.items()
            ):
                self.tokens[name], kept = made_token(bytes([number]) * 38, scope, now, label=name)
                catalog.accounts.keep_token(kept)

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def root(self) -> str:
        return f"Bearer {self.tokens['all']}"

    def upload(self, index: str, name: str, version: str) -> Answer:
        content_type = "multipart/form-data; boundary=b0undary"
        body = body_of(wheel(name, version))
        return ask(f"{self.url}/{index}/legacy/", "POST", body, Content_Type=content_type, Authorization=self.root)

    def ask(self, path: str, method: str = "GET", body: Any = None, who: str | None = None, **headers: str) -> Answer:
        """A request to a path below /api/v1, with a body that becomes JSON unless it is bytes."""
        if who is not None:
            headers["Authorization"] = who
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return ask(f"{self.url}/api/v1{path}", method, content, **headers)

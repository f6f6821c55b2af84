"""An OpenID Connect issuer that a test runs: a configuration, keys that may change, and tokens signed with them."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

Key = RSAKey | ECKey


class Issuer:
    """Serves /.well-known/openid-configuration and its keys on a free port of this machine."""

    def __init__(self) -> None:
        self.keys: list[Key] = [RSAKey.generate_key(2048, {"kid": "first"}), ECKey.generate_key("P-256", {"kid": "ec"})]
        self.configuration: dict[str, Any] = {}
        self.requests: list[str] = []
        self.status = 200
        self.url = ""

    def __enter__(self) -> Self:
        issuer = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                body = json.dumps(issuer.answer(self.path)).encode()
                self.send_response(issuer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the class's own name for it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.configuration = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str) -> dict[str, Any]:
        if path == "/.well-known/openid-configuration":
            return self.configuration
        return dict(KeySet(list(self.keys)).as_dict(private=False))

    def token(self, key: Key | None = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        """Signed with the first key; claims that are None are left out."""
        signer = key or self.keys[0]
        algorithm = "ES256" if isinstance(signer, ECKey) else "RS256"
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": "pypim",
            "sub": "repo:acme/widgets",
            "repository": "acme/widgets",
            "ref_protected": True,
            "iat": now,
            "nbf": now,
            "exp": now + 300,
            **changes,
        }
        told = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode({"alg": algorithm, "kid": signer.kid, **(header or {})}, told, signer)

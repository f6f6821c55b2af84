"""`pypim serve` as its own process, as an administrator starts it, on a port that it finds itself."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.clients.clients import clean_environ

if TYPE_CHECKING:
    from types import TracebackType

_WAIT_S = 30


class ServeProcess:
    """Entered like any other context; what it says on standard error is in `lines`."""

    def __init__(self, folder: Path, config: str, *options: str) -> None:
        self.folder = folder
        self.config = folder / "pypim.toml"
        folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(config, "utf-8")
        self.url = ""
        self.lines: list[str] = []
        self._options = options or ("--port", "0")
        self._said = threading.Condition()

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pypim", "-c", str(self.config), "serve", *self._options],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=self.folder,
            env=clean_environ(str(self.folder)),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = re.sub(r".* at ", "", self.wait_for("serving .* at "))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self.lines.append("(end)")
            self._said.notify_all()

    def wait_for(self, pattern: str, count: int = 1) -> str:
        """The line that says this, for the so-maniest time, once it is there."""

        def found() -> list[str]:
            return [line for line in self.lines if re.search(pattern, line)]

        with self._said:
            self._said.wait_for(lambda: len(found()) >= count or "(end)" in self.lines, _WAIT_S)
        assert len(found()) >= count, "\n".join(self.lines)
        return found()[count - 1]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Its exit status after SIGTERM."""
        self.send(signal.SIGTERM)
        return self.process.wait(_WAIT_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(_WAIT_S)
        assert self.process.stderr is not None
        self.process.stderr.close()

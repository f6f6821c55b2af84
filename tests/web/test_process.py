"""`pypim serve` as real processes: how it starts, reloads and stops, and whom it does not wait for."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from tests.clients.clients import clean_environ
from tests.conftest import ServeWorld
from tests.web.asking import JSON, ask, files_of
from tests.web.process import ServeProcess
from tests.web.uploading import CONFIG, listed, send, wheel
from tests.worlds import faults
from tests.worlds.world import World, project, release
from tests.worlds.world import wheel as whl

BIG_BYTES = 24 << 20
CACHE = "[upstreams.up]\nurl = '{url}'\nretries = 0\n[indexes.cache]\nkind = 'proxy'\nupstream = 'up'\n"


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`pypim serve`, where it is to end by itself."""
    command = [sys.executable, "-m", "pypim", "-c", str(folder / "pypim.toml"), "serve", *options]
    environ = clean_environ(str(folder))
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)


def connected(server: ServeProcess) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """Two workers with short patience."""
    more = "[server]\nworkers = 2\nheader-timeout = 2\nrequest-timeout = 2\n"
    config = CONFIG.replace("[server]\n", more)
    with ServeProcess(tmp_path_factory.mktemp("server"), config) as found:
        yield found


# --- starting -------------------------------------------------------------------------------------------------------
def test_it_says_which_port_it_found(server: ServeProcess) -> None:
    """Port 0: any that is free."""
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*", server.url)
    assert ask(f"{server.url}/healthz").status == 200


def test_a_second_server_on_one_store_is_told_who_has_it(server: ServeProcess) -> None:
    done = run(server.folder, "--port", "0")
    assert done.returncode == 8
    assert f"pid {server.process.pid}" in done.stderr


def test_a_port_that_is_taken(server: ServeProcess, tmp_path: Path) -> None:
    """Two servers never share a port, each with half of the connections."""
    (tmp_path / "pypim.toml").write_text(CONFIG)
    done = run(tmp_path, "--port", str(urlsplit(server.url).port))
    assert done.returncode == 2
    assert "in use" in done.stderr


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ("[indexes.private]\nkind = 'hosted'\n[server]\nport = 'x'\n", "port"),
        ("[indexes.private]\nkind = 'hosted'\n[server]\ntls-certificate = 'a.pem'\ntls-key = 'b.pem'\n", "a.pem"),
        ("", "no index is configured"),
    ],
)
def test_a_wrong_configuration_is_said_before_anything_listens(tmp_path: Path, config: str, says: str) -> None:
    (tmp_path / "pypim.toml").write_text(config)
    done = run(tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_audit_log_that_cannot_be_written_is_said_before_anything_listens(tmp_path: Path) -> None:
    """Nobody would take uploads that leave no trace; a reload with such a log changes nothing."""
    (tmp_path / "file").touch()
    config = CONFIG.replace("[server]", "[server]\naudit-log = 'file/audit.jsonl'")
    (tmp_path / "pypim.toml").write_text(config)
    done = run(tmp_path, "--port", "0")
    assert (done.returncode, "audit.jsonl" in done.stderr) == (8, True)
    with ServeProcess(tmp_path, CONFIG) as server:
        server.config.write_text(config)
        server.send(signal.SIGHUP)
        assert "audit.jsonl" in server.wait_for("not reloaded")


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "pypim.toml").write_text(CONFIG.replace("[server]", "[server]\ntls-certificate='a'\ntls-key='a'"))
    (tmp_path / "a").write_text("no certificate")
    done = run(tmp_path, "--port", "0")
    assert (done.returncode, "TLS" in done.stderr) == (2, True)


# --- several workers ------------------------------------------------------------------------------------------------
def test_workers_see_each_others_changes_at_once(server: ServeProcess) -> None:
    """Whoever answers the upload, and whoever is asked then: the file is there before the upload is answered."""
    for number in range(12):
        upload = wheel("shared", f"1.{number}")
        assert send(server.url, upload).status == 200
        for _ in range(6):
            assert upload.filename in listed(server.url, "shared")


# --- those that are slow --------------------------------------------------------------------------------------------
def never_ending_head(server: ServeProcess) -> bytes:
    """What comes back; the server waits two seconds for the rest before anything does."""
    with closing(connected(server)) as line:
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        line.settimeout(20)
        return line.recv(1000)


def test_headers_that_do_not_come_to_an_end_are_not_waited_for(server: ServeProcess) -> None:
    assert b"200" not in never_ending_head(server)


def test_a_body_that_stands_still_is_not_waited_for(server: ServeProcess) -> None:
    """RFC 9110, 15.5.9."""
    with closing(connected(server)) as line:
        head = "POST /private/legacy/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
        head += "Content-Type: multipart/form-data; boundary=b0undary\r\n\r\n--b0undary\r\n"
        line.sendall(head.encode())
        line.settimeout(20)
        assert line.recv(1000).startswith(b"HTTP/1.1 408 ")


def big_file(server: ServeProcess) -> tuple[str, int]:
    """The path of a file that fills every buffer on the way, and its size."""
    upload = wheel("big", "1.0", payload=BIG_BYTES)
    assert send(server.url, upload).status == 200
    file = files_of(f"{server.url}/private/simple/big/")[upload.filename]
    return urlsplit(file["url"]).path, file["size"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows the sockets of others")
def test_a_client_that_takes_nothing_is_cut_off(server: ServeProcess) -> None:
    """It would hold a connection, and a file, for as long as it likes."""
    path, size = big_file(server)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with closing(line):
        line.connect(("127.0.0.1", urlsplit(server.url).port))
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert is_held_by_the_server(line)
        for _ in range(10):
            never_ending_head(server)  # the server's own clock: two seconds have gone by for it
            if not is_held_by_the_server(line):
                break
        assert received_from(line) < size


def received_from(line: socket.socket) -> int:
    """How much comes before the connection turns out to be broken."""
    received = 0
    with suppress(ConnectionError):
        while chunk := line.recv(1 << 20):
            received += len(chunk)
    return received


def is_held_by_the_server(line: socket.socket) -> bool:
    """Whether the other end of a connection on this machine still exists (proc(5): local and remote address)."""
    ours = f"0100007F:{line.getsockname()[1]:04X}"
    return any(entry.split()[2] == ours for entry in Path("/proc/net/tcp").read_text().splitlines())


# --- limits ---------------------------------------------------------------------------------------------------------
def test_headers_have_a_limit(server: ServeProcess) -> None:
    """RFC 6585, 5: 431, which is lost where the client has not sent everything by then."""
    said = b""
    with closing(connected(server)) as line, suppress(ConnectionError):
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 2_000_000 + b"\r\n\r\n")
        said = line.recv(1000)
    assert said == b"" or said.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("path", ["/healthz", "/private/simple/", "/api/v1/indexes"])
def test_a_body_where_none_is_taken_is_not_kept(server: ServeProcess, path: str) -> None:
    """The answer comes without it; it is neither waited for nor stored."""
    with closing(connected(server)) as line:
        line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000000\r\n\r\n".encode() + b"x" * 100_000
        )
        assert line.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("path", "method"), [("/private/pypi", "POST"), ("/api/v1/tokens", "POST")])
def test_a_small_body_has_a_limit(server: ServeProcess, path: str, method: str) -> None:
    answer = ask(f"{server.url}{path}", method, b"x" * 100_000, Content_Type="text/xml")
    assert answer.status == 413


# --- stopping and reading the configuration again -------------------------------------------------------------------
@contextmanager
def begun(server: ServeProcess) -> Iterator[tuple[http.client.HTTPResponse, int]]:
    """A download of which the head has come, and that cannot end before it is read."""
    path, size = big_file(server)
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    connection.request("GET", path)
    with closing(connection):
        yield connection.getresponse(), size


def test_answers_under_way_are_finished_before_it_stops(tmp_path: Path) -> None:
    with ServeProcess(tmp_path, CONFIG) as server:
        with begun(server) as (answer, size), closing(connected(server)) as idle:
            server.send(signal.SIGTERM)
            with suppress(ConnectionResetError):  # or so, where the end was told before the answer to it was read
                assert idle.recv(1) == b""  # the stop has begun: who waits with nothing is let go
            assert len(answer.read()) == size
        assert server.process.wait(30) == 0
        assert not any("Traceback" in line for line in server.lines)


def test_a_changed_configuration_is_read_without_a_pause(tmp_path: Path) -> None:
    """SIGHUP: new workers take over, and a download that one of the old has begun is finished."""
    with ServeProcess(tmp_path, CONFIG) as server:
        with begun(server) as (answer, size):
            server.config.write_text(CONFIG + "[indexes.more]\nkind = 'hosted'\n")
            server.send(signal.SIGHUP)
            while ask(f"{server.url}/more/simple/", Accept=JSON).status != 200:
                assert ask(f"{server.url}/private/simple/", Accept=JSON).status == 200
            assert len(answer.read()) == size
        server.wait_for("new workers start with it")
        assert send(server.url, wheel("ours", "2.0"), "/more/legacy/").status == 200


def test_a_broken_configuration_changes_nothing(tmp_path: Path) -> None:
    with ServeProcess(tmp_path, CONFIG) as server:
        server.config.write_text("[indexes.private]\nkind = 'hosted'\nnonsense = 1\n")
        server.send(signal.SIGHUP)
        assert "nonsense" in server.wait_for("not reloaded") + "".join(server.lines)
        assert ask(f"{server.url}/private/simple/", Accept=JSON).status == 200
        server.config.write_text(CONFIG.replace("[server]", "[server]\nbacklog = 200"))
        server.send(signal.SIGHUP)
        server.wait_for("server.backlog changes only with a new start")
        server.wait_for("new workers start with it")
        assert ask(f"{server.url}/private/simple/", Accept=JSON).status == 200


def test_a_file_that_breaks_off_is_a_line_in_the_log(serve: ServeWorld, tmp_path: Path) -> None:
    """Case 30: the connection breaks, and who reads the log need read no traceback."""
    upstream = serve(World.of(project("big", release("1.0", whl(payload=2_000_000)))), ranges=False)
    with ServeProcess(tmp_path, CACHE.format(url=upstream.url)) as server:
        (entry,) = files_of(f"{server.url}/cache/simple/big/").values()
        upstream.misbehave("*.whl", faults.cut_after(1_000_000))
        with pytest.raises(http.client.IncompleteRead):
            ask(entry["url"])
        server.wait_for("broke off")
        assert ask(f"{server.url}/healthz").status == 200
        assert server.stop() == 0
    assert not [line for line in server.lines if "Traceback" in line or "Application callable" in line]


def test_workers_ask_once_for_a_file_that_takes_long(serve: ServeWorld, tmp_path: Path) -> None:
    """Row: clients of two workers that want one cold file make one request, and have their first byte soon."""
    upstream = serve(World.of(project("big", release("1.0", whl(payload=2_000_000)))))
    upstream.misbehave("*.whl", faults.drip(1 << 16, 0.4))
    config = f"{CACHE.format(url=upstream.url)}[server]\nworkers = 2\n"

    def fetched(url: str) -> tuple[bytes, float]:
        begun = time.monotonic()
        with urllib.request.urlopen(url, timeout=60) as answer:
            first = answer.read(1)
            waited = time.monotonic() - begun
            return first + answer.read(), waited

    with ServeProcess(tmp_path, config) as server, ThreadPoolExecutor(32) as clients:
        (entry,) = files_of(f"{server.url}/cache/simple/big/").values()
        answers = list(clients.map(fetched, [entry["url"]] * 32))
    assert {hashlib.sha256(content).hexdigest() for content, _ in answers} == {entry["hashes"]["sha256"]}
    assert len(upstream.asked("*.whl")) == 1
    assert max(waited for _, waited in answers) < 6


def workers_of(server: ServeProcess) -> set[int]:
    """The processes that answer."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if not children.exists():
        pytest.skip("the system does not tell who the workers are")
    pids = [int(child) for child in children.read_text().split()]
    return {pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_a_worker_that_dies_is_replaced(server: ServeProcess) -> None:
    assert ask(f"{server.url}/healthz").status == 200
    os.kill(workers_of(server).pop(), signal.SIGKILL)
    server.wait_for("Unexpected exit")
    assert ask(f"{server.url}/private/simple/", Accept=JSON).status == 200


def test_workers_end_with_the_process_that_supervises_them(tmp_path: Path) -> None:
    """What is left would hold the port, and answer by the rules of a configuration that nobody can change any more."""
    with ServeProcess(tmp_path, CONFIG.replace("[server]", "[server]\nworkers = 2")) as server:
        assert ask(f"{server.url}/healthz").status == 200
        workers = workers_of(server)
        assert len(workers) == 2
        port = urlsplit(server.url).port
        server.process.kill()
        server.process.wait()
        deadline = time.monotonic() + 20
        while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
            time.sleep(0.02)
        with ServeProcess(tmp_path, server.config.read_text("utf-8"), "--port", str(port)) as again:
            assert ask(f"{again.url}/healthz").status == 200


def test_a_worker_that_dies_again_and_again_takes_nobody_with_it(tmp_path: Path) -> None:
    with ServeProcess(tmp_path, CONFIG.replace("[server]", "[server]\nworkers = 2")) as server:
        assert ask(f"{server.url}/healthz").status == 200
        survivor = min(workers_of(server))
        for times in (1, 2, 3):
            victims = workers_of(server) - {survivor}
            os.kill(victims.pop(), signal.SIGKILL)
            server.wait_for("worker . has died", times)
            assert ask(f"{server.url}/private/simple/", Accept=JSON).status == 200
            deadline = time.monotonic() + 20
            while len(workers_of(server)) < 2 and time.monotonic() < deadline:
                assert ask(f"{server.url}/healthz").status == 200
        assert survivor in workers_of(server)
        assert server.stop() == 0


HOPELESS = """
from pathlib import Path
from pypim.wiring_process import load_for_serving, serve

HERE = Path(__file__).parent

def read():
    return load_for_serving(HERE / "pypim.toml", {"port": 0})

def spoil(_):
    (HERE / "data" / "catalog.sqlite").write_bytes(b"no catalog" * 1000)

if __name__ == "__main__":
    serve(read, spoil, is_verbose=False)
"""


def test_a_server_none_of_whose_workers_can_start_ends(tmp_path: Path) -> None:
    (tmp_path / "pypim.toml").write_text(CONFIG)
    (tmp_path / "hopeless.py").write_text(HOPELESS)
    command = [sys.executable, str(tmp_path / "hopeless.py")]
    environ = clean_environ(str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environ)
    assert done.returncode == 1
    assert "no worker can be started" in done.stderr
    assert "catalog.sqlite" in done.stderr


# --- where it listens -----------------------------------------------------------------------------------------------
class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


def test_a_unix_socket(tmp_path: Path) -> None:
    """It is taken over from a server that was killed, and is gone after one that was stopped.

    A proxy runs as another user: the rights of the folder say who reaches the socket, and not our umask.
    """
    path = tmp_path / "s"
    config = CONFIG.replace("[server]", f"[server]\nunix-socket = '{path}'")
    with ServeProcess(tmp_path / "a", config) as server:
        assert server.url == str(path)
        assert path.stat().st_mode & 0o777 == 0o666
        server.process.kill()
        server.process.wait()
    assert path.exists()
    with ServeProcess(tmp_path / "b", config) as server:
        connection = UnixConnection(str(path))
        connection.request("GET", "/private/simple/", headers={"Accept": JSON, "Host": "x"})
        assert connection.getresponse().status == 200
        connection.close()
        assert run(server.folder).returncode == 8
        assert server.stop() == 0
    assert not path.exists()


def test_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    config = CONFIG.replace("[server]", "[server]\ntls-certificate = 'server.pem'\ntls-key = 'server.pem'")
    with ServeProcess(tmp_path, config, "--port", "0", "--host", "localhost") as server:
        assert server.url.startswith("https://localhost:")
        context = ssl.create_default_context()
        authority.configure_trust(context)
        connection = http.client.HTTPSConnection("localhost", urlsplit(server.url).port, context=context, timeout=30)
        connection.request("GET", "/api/v1/indexes")
        answer = connection.getresponse().read().decode()
        connection.close()
        assert f"{server.url}/private/simple/" in answer


def test_a_client_of_http_2_that_has_gone_is_not_waited_for(tmp_path: Path) -> None:
    """RFC 9113, 6.7: it is sent a PING, and does not answer. Such connections would take every place in the end."""
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    more = "[server]\nheader-timeout = 1\ntls-certificate = 'server.pem'\ntls-key = 'server.pem'"
    with ServeProcess(tmp_path, CONFIG.replace("[server]", more), "--port", "0", "--host", "localhost") as server:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(connected(server), server_hostname="localhost") as line:
            line.settimeout(30)
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))  # and SETTINGS
            with suppress(ConnectionResetError, ssl.SSLEOFError):
                while line.recv(4096):
                    pass


def test_a_path_that_a_proxy_has_put_it_under(tmp_path: Path) -> None:
    """server.root-path: with and without it in the request, and in every address that an answer names."""
    with ServeProcess(tmp_path, CONFIG.replace("[server]", "[server]\nroot-path = '/pypi'")) as server:
        assert server.url.endswith("/pypi")
        answer = ask(f"{server.url}/private/simple")
        assert answer.headers["location"] == "/pypi/private/simple/"
        bare = server.url.removesuffix("/pypi")
        assert ask(f"{bare}/private/simple/", Accept=JSON).status == 200
        index = ask(f"{bare}/api/v1/indexes").document["indexes"][0]
        assert index["simple_url"] == f"{server.url}/private/simple/"
        assert ask(f"{bare}/api/v1/openapi.json").document["servers"] == [{"url": "/pypi/api/v1"}]

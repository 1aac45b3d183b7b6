"""A whole bin as real processes: points server, simulated world and daemon, on real sockets, ptys and files."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kiosk.control_socket import NotRunning, ask

WAIT_S = 60.0
"""A deadline for what must happen at all; nothing here measures speed."""
SPEED = "8"
POINTS_SERVER = ("-c", "from sync.points_server.cli import main; main()")

CONFIG = """\
[bin]
state_dir = "{folder}/state"
run_dir = "{folder}/run"
language = "en"
[clock]
synchronized_file = "{folder}/synchronized"
[gpio]
backend = "simulated"
socket = "{folder}/world/pins.sock"
[card_reader]
port = "{folder}/world/card_reader"
[qr_reader]
port = "{folder}/world/qr_reader"
[scale]
port = "{folder}/world/scale"
[temperature]
file = "{folder}/world/w1/28-000000000001/w1_slave"
period_ms = 200
[session]
idle_ms = 5000
farewell_ms = 500
[timing]
weigh_settle_ms = 100
[caps]
daily_points = 1000000
[storage]
reserve_mib = {reserve_mib}
[screen]
port = {screen_port}
"""


class Rig:
    """Starts and ends the processes by their ids; talks to the world and to the daemon as their own users do."""

    def __init__(self, folder: Path, *, reserve_mib: int = 1) -> None:
        self.folder = folder
        self.screen_port, self.server_port = free_port(), free_port()
        for name in ("state", "run", "world"):
            (folder / name).mkdir()
        (folder / "synchronized").touch()
        self.config = folder / "kiosk.toml"
        self.config.write_text(CONFIG.format(folder=folder, screen_port=self.screen_port, reserve_mib=reserve_mib))
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.screen = ScreenLog(self.screen_port)

    # --- processes --------------------------------------------------------------------------------------------------

    def start_world(self) -> None:
        self.start("world", "-m", "kiosk.simulator", "--dir", str(self.folder / "world"), "--speed", SPEED)
        wait_for(lambda: (self.folder / "world" / "control.sock").exists(), "the world")

    def enrol(self) -> None:
        """Make the server's database, start it, and enrol the bin."""
        self.server_command("init")
        code = self.server_command("bin", "add", "bin-1").strip()
        self.start_server()
        self.kiosk("enrol", f"http://127.0.0.1:{self.server_port}", code)

    def start_server(self) -> None:
        database = str(self.folder / "points.db")
        port = str(self.server_port)
        self.start(
            "server", *POINTS_SERVER, "--database", database, "serve", "--port", port,
            "--next-call-ms", "1000", "--operator-view",
        )  # fmt: skip
        wait_for(lambda: self.journal() is not None, "the points server")

    def start_daemon(self, *argv: str, env: dict[str, str] | None = None) -> None:
        """``argv`` instead of the plain daemon: a script that runs it."""
        self.start("daemon", *(argv or ("-m", "kiosk.cli", "run", "--config", str(self.config))), env=env)

    def start(self, name: str, *argv: str, env: dict[str, str] | None = None) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            [sys.executable, *argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(env or {})}
        )
        log.close()

    def end(self, name: str, number: int = signal.SIGTERM) -> int:
        process = self.processes.pop(name)
        process.send_signal(number)
        return process.wait(WAIT_S)

    def close(self) -> None:
        self.screen.close()
        for name in list(self.processes):
            with contextlib.suppress(ProcessLookupError):
                self.end(name, signal.SIGKILL)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # --- conversations ----------------------------------------------------------------------------------------------

    def kiosk(self, *argv: str, code: int = 0) -> str:
        """Run a technician's command; it must end with ``code``."""
        done = subprocess.run(
            [sys.executable, "-m", "kiosk.cli", *argv, "--config", str(self.config)],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def server_command(self, *argv: str) -> str:
        command = [sys.executable, *POINTS_SERVER, "--database", str(self.folder / "points.db"), *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=WAIT_S, check=True).stdout

    def world(self, do: str, **fields: Any) -> dict[str, Any]:
        """One command to the simulated world, which must take it."""
        with socket.socket(socket.AF_UNIX) as hand:
            hand.settimeout(WAIT_S)
            hand.connect(str(self.folder / "world" / "control.sock"))
            hand.sendall(json.dumps({"do": do, **fields}).encode() + b"\n")
            reply: dict[str, Any] = json.loads(hand.makefile("rb").readline())
        assert reply.get("ok"), reply
        return reply

    def status(self) -> dict[str, Any] | None:
        try:
            return ask(self.folder / "run" / "control.sock", {"do": "status"})
        except NotRunning:
            return None

    def wait_status(self, what: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        def look() -> bool:
            status = self.status()
            if status is None or "error" in status or not holds(status):
                return False
            found.append(status)
            return True

        try:
            wait_for(look, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; status {self.status()}; daemon: {self.log('daemon')[-2000:]}") from None
        return found[0]

    def wait_open(self) -> None:
        self.wait_status("the bin to open", lambda status: bool(status["open"]) and status["phase"] == "idle")

    def journal(self) -> dict[str, Any] | None:
        """The server's own books; null while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server_port, timeout=WAIT_S)
        try:
            connection.request("GET", "/v1/operator/ledger?limit=1000")
            overview: dict[str, Any] = json.loads(connection.getresponse().read())
            return overview
        except (ConnectionError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def credited(self) -> dict[str, list[int]]:
        """Item id to every amount that the server posted to a resident for it."""
        overview = self.journal()
        assert overview is not None
        posted: dict[str, list[int]] = {}
        for line in overview["journal"]:
            if line["account"] != "programme":
                posted.setdefault(line["item_id"], []).append(line["points"])
        return posted

    def deposit(self, kind: str = "aa", card: str = "0") -> None:
        """A resident taps and drops one battery; what becomes of it is for the caller to see."""
        self.world("tap", card=card)
        self.world("drop", kind=kind)


class ScreenLog:
    """Every byte of the screen's event stream, through restarts of the daemon, kept as views in order."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._closing = False
        self.views: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def credits(self) -> dict[str, int]:
        """Item id to points, for every credit that was ever shown."""
        shown: dict[str, int] = {}
        for view in list(self.views):
            if view["credit"]:
                credit = view["credit"]
                assert shown.setdefault(credit["item_id"], credit["points"]) == credit["points"]
        return shown

    def close(self) -> None:
        self._closing = True

    def _run(self) -> None:
        while not self._closing:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5) as stream:
                stream.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % self._port)
                for line in stream.makefile("rb"):
                    if line.startswith(b"data: {"):
                        self.views.append(json.loads(line[6:]))
                    if self._closing:
                        return
            time.sleep(0.02)  # the daemon is down; nothing to wait on but its port


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def wait_for(holds: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    """Poll until it holds; the deadline is generous, since machines are noisy."""
    deadline = time.monotonic() + wait_s
    while not holds():
        assert time.monotonic() < deadline, f"waited {wait_s:.0f} s for {what}"
        time.sleep(0.02)


@contextlib.contextmanager
def whole_bin(folder: Path, **options: Any) -> Iterator[Rig]:
    """All three processes, enrolled and open for residents."""
    rig = Rig(folder, **options)
    try:
        rig.start_world()
        rig.enrol()
        rig.start_daemon()
        rig.wait_open()
        yield rig
    finally:
        rig.close()

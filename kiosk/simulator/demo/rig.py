"""The three processes, the network between them and the folder that they live in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiosk.control_socket import NotRunning, ask
from kiosk.simulator.demo.children import Child, run
from kiosk.simulator.demo.network import Network
from kiosk.simulator.demo.screen_tap import ScreenTap, Shown
from kiosk.simulator.demo.world_link import Event, Snapshot, WorldLink

BIN_ID = "demo-bin"
READY_S = 30.0
"""A cold start on a slow machine, Python's imports included."""
ROWS_MAX = 100_000
DEAD_S = 0.15
"""Between the cut and the return of the power, at the least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How quick the mechanics are and how patient the controller is; times in milliseconds."""

    world_speed: str
    close_settle_ms: int
    weigh_settle_ms: int
    farewell_ms: int
    session_idle_ms: int
    daily_points: int


STROLL = Pace(
    world_speed="1",
    close_settle_ms=300,
    weigh_settle_ms=1_500,
    farewell_ms=3_000,
    session_idle_ms=12_000,
    daily_points=1_000,
)
"""To look at: weighing begins when a fall, replayed slowly, has reached the shelf."""
FAST = Pace(
    world_speed="fast",
    close_settle_ms=150,
    weigh_settle_ms=0,
    farewell_ms=0,
    session_idle_ms=30_000,
    daily_points=1_000_000,
)
"""As fast as the core's rules allow: two equal stable readings, flap shut and beams clear, both end stops."""


class Rig:
    """Everything that runs. ``on_death(message)`` is called when a process ends without having been told to."""

    def __init__(
        self,
        folder: Path,
        seed: int,
        pace: Pace,
        *,
        on_event: Callable[[Event], None],
        on_snapshot: Callable[[Snapshot], None],
        on_view: Callable[[Shown], None],
        on_death: Callable[[str], None],
        page_origins: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self._seed = seed
        self._pace = pace
        self._page_origins = page_origins
        self._on_death = on_death
        self.server_port, self.screen_port = free_ports(2)
        self.network = Network(self.server_port)
        self.world = WorldLink(folder / "world" / "control.sock", on_event, on_snapshot)
        self.screen = ScreenTap(self.screen_port, folder / "screen.sse", on_view)
        self._config = folder / "kiosk.toml"
        self._control = folder / "bin" / "control.sock"
        self._points_server = command("sync.points_server.cli", "--database", str(folder / "points.db"))
        serve = ["serve", "--port", str(self.server_port), "--next-call-ms", "1000", "--operator-view"]
        self._server = self._child("points server", [*self._points_server, *serve])
        self._daemon = self._child("daemon", command("kiosk.cli", "run", "--config", str(self._config)))
        self._world = self._world_child()
        self._returning = asyncio.Lock()
        self.starting = False
        """The daemon, and perhaps the world, is being started."""

    @property
    def daemon_alive(self) -> bool:
        return self._daemon.alive

    @property
    def screen_address(self) -> str:
        return f"http://127.0.0.1:{self.screen_port}"

    @property
    def children(self) -> list[Child]:
        return [self._server, self._world, self._daemon]

    async def start(self) -> None:
        """From nothing to a bin that is open. Raises :class:`ChildDied`, OSError."""
        for name in ("bin", "world"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "synchronized").touch()
        await self._world.start()
        await run([*self._points_server, "init"])
        code = (await run([*self._points_server, "bin", "add", BIN_ID])).split()[-1]
        await self._server.start()
        await self.network.restore()
        await self._world.ready(self.folder / "world" / "control.sock", READY_S)
        await self.world.connect()
        self._configure()
        await self._server.until(lambda: answers(self.server_port), READY_S)
        url = f"http://127.0.0.1:{self.network.port}"
        await run(command("kiosk.cli", "enrol", url, code, "--config", str(self._config)))
        self.screen.start()
        await self._start_daemon()

    async def close(self) -> None:
        """End all of it, within seconds, whatever state it is in."""
        await asyncio.gather(*(child.end() for child in self.children))
        await self.screen.close()
        await self.world.close()
        await self.network.cut()

    async def set_pace(self, pace: Pace) -> None:
        """The same bin with other mechanics: its ledger and the server stay, the world begins anew."""
        async with self._returning:
            self.starting = True
            self._pace = pace
            await self._daemon.end()
            await self.world.close()
            await self._world.end()
            self._world = self._world_child()
            await self._world.start()
            await self._world.ready(self.folder / "world" / "control.sock", READY_S)
            await self.world.connect()
            self._configure()
            await self._start_daemon()

    async def lose_power(self) -> None:
        """Mains fail and the daemon dies where it stands."""
        async with self._returning:
            await self._daemon.kill()
            with contextlib.suppress(ConnectionError):
                await self.world.do("power", on=False)

    async def return_power(self, after_s: float = DEAD_S) -> None:
        async with self._returning:
            await asyncio.sleep(after_s)
            await self.world.do("power", on=True)
            await self._start_daemon()

    async def ask_daemon(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Its answer on the control socket; null while it is dead."""
        try:
            return await asyncio.to_thread(ask, self._control, request)
        except (NotRunning, OSError):
            return None

    async def server_ledger(self, rows: int = ROWS_MAX) -> dict[str, Any] | None:
        """What the server's operator sees; null when it does not answer."""
        return await asyncio.to_thread(fetch, f"http://127.0.0.1:{self.server_port}/v1/operator/ledger?limit={rows}")

    async def _start_daemon(self) -> None:
        self.starting = True
        before = self.screen.connections
        await self._daemon.start()
        await self._daemon.until(lambda: self.screen.connections > before, READY_S)
        self.starting = False

    def _child(self, name: str, argv: list[str]) -> Child:
        return Child(name, argv, self.folder / f"{name.replace(' ', '-')}.log", lambda message: self._on_death(message))

    def _world_child(self) -> Child:
        argv = command("kiosk.simulator.__main__", "--dir", str(self.folder / "world"), "--seed", str(self._seed))
        return self._child("world", [*argv, "--speed", self._pace.world_speed])

    def _configure(self) -> None:
        world, pace = self.folder / "world", self._pace
        tables: dict[str, dict[str, object]] = {
            "bin": {"state_dir": str(self.folder / "bin"), "run_dir": str(self.folder / "bin")},
            "session": {"idle_ms": pace.session_idle_ms, "farewell_ms": pace.farewell_ms},
            "timing": {"close_settle_ms": pace.close_settle_ms, "weigh_settle_ms": pace.weigh_settle_ms},
            "clock": {"synchronized_file": str(self.folder / "synchronized")},
            "gpio": {"backend": "simulated", "socket": str(world / "pins.sock")},
            "card_reader": {"port": str(world / "card_reader")},
            "qr_reader": {"port": str(world / "qr_reader")},
            "scale": {"port": str(world / "scale")},
            "temperature": {"file": str(world / "w1/28-000000000001/w1_slave")},
            "caps": {"daily_points": pace.daily_points},
            "screen": {"port": self.screen_port, "frame_ancestors": list(self._page_origins)},
            "storage": {"reserve_mib": 0},
        }
        lines = [
            line
            for name, keys in tables.items()
            # JSON's strings, numbers and lists are TOML's as well.
            for line in (f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), "")
        ]
        self._config.write_text("\n".join(lines), encoding="utf-8")


def command(module: str, *arguments: str) -> list[str]:
    """Runs ``main`` of a module with this very Python: the scripts' folder need not be on the path."""
    return [sys.executable, "-c", f"from {module} import main; main()", *arguments]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def fetch(url: str) -> dict[str, Any] | None:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return dict(json.load(answer))
    except (urllib.error.URLError, OSError, ValueError):
        return None

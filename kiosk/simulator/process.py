"""The world in real time: pseudo-terminals, a sensor's file, a socket for the pins and one for whoever plays fate."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from kiosk.simulator.control import obey
from kiosk.simulator.outputs import Happened, Output, PinChanged, PortChanged, SerialSent, W1Changed
from kiosk.simulator.ports import Port
from kiosk.simulator.serial_lines import DEVICES
from kiosk.simulator.timeline import MS
from kiosk.simulator.world import World

SNAPSHOT_NS = 50 * MS
"""Watchers are sent at most 20 snapshots a second."""
WAIT_MAX_S = 0.2
BACKLOG_BYTES_MAX = 1_000_000
"""A client that leaves this much unread is dropped."""
LINE_BYTES_MAX = 65_536
W1_FILE = "w1/28-000000000001/w1_slave"


class Client:
    """One connection that speaks in lines; whatever goes wrong with it, it is closed and nobody else notices."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.watching = False
        self.gone = False
        self._received = b""
        self._unsent = b""

    @property
    def waits_to_send(self) -> bool:
        return bool(self._unsent)

    def lines(self) -> list[bytes]:
        """What has arrived, in whole lines; marks the client gone at the end of its input."""
        try:
            data = self.connection.recv(LINE_BYTES_MAX)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not data:
            self.gone = True
            return []
        *lines, self._received = (self._received + data).split(b"\n")
        if len(self._received) > LINE_BYTES_MAX:
            self.gone = True
        return lines

    def send(self, data: bytes) -> None:
        self._unsent += data
        try:
            sent = self.connection.send(self._unsent)
            self._unsent = self._unsent[sent:]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True
        if len(self._unsent) > BACKLOG_BYTES_MAX:
            self.gone = True


class Process:
    """Runs one world in the folder ``folder`` until :meth:`stop` or SIGTERM.

    The folder holds ``card_reader``, ``qr_reader`` and ``scale`` (links to pseudo-terminals), the sensor's file,
    ``pins.sock`` and, made last, ``control.sock``. Raises OSError when they cannot be made.
    """

    def __init__(self, folder: Path, world: World, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._folder = folder
        self._world = world
        self._clock_ns = clock_ns
        self._ports = {device: Port(folder / device) for device in DEVICES}
        self._selector = selectors.DefaultSelector()
        self._listeners: list[socket.socket] = []
        self._daemons: list[Client] = []
        self._hands: list[Client] = []
        self._shown: dict[str, Any] = {}
        self._shown_ns = 0
        self._running = True
        self._wake_in, self._wake_out = socket.socketpair()

    def run(self) -> None:
        """Blocks; cleans the folder up behind itself."""
        try:
            self._open()
            while self._running:
                self._turn()
        finally:
            self._close()

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Also a signal handler."""
        self._running = False
        with contextlib.suppress(OSError):
            self._wake_in.send(b"\0")

    def stop_on_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._selector.register(self._wake_out, selectors.EVENT_READ, lambda: self._wake_out.recv(64))
        for device in DEVICES:
            self._plug(device)
        self._write_w1(self._world.w1_text())
        self._listen("pins.sock", self._greet_daemon)
        self._listen("control.sock", self._greet_hand)

    def _close(self) -> None:
        for client in (*self._daemons, *self._hands):
            client.connection.close()
        for listener in self._listeners:
            listener.close()
        for name in ("pins.sock", "control.sock"):
            (self._folder / name).unlink(missing_ok=True)
        for device in DEVICES:
            self._unplug(device)
        self._wake_in.close()
        self._wake_out.close()
        self._selector.close()

    def _turn(self) -> None:
        now_ns = self._clock_ns()
        next_ns = self._world.next_ns()
        wait_s = WAIT_MAX_S if next_ns is None else min(WAIT_MAX_S, max(0.0, (next_ns - now_ns) / 1e9))
        if any(hand.watching for hand in self._hands):
            wait_s = min(wait_s, SNAPSHOT_NS / 1e9)
        for key, _ in self._selector.select(wait_s):
            key.data()
        for output in self._world.advance(self._clock_ns()):
            self._put(output)
        self._show()
        self._drop_gone()

    def _put(self, output: Output) -> None:
        match output:
            case PinChanged(bcm=bcm, level=level, t_ns=t_ns):
                for daemon in self._daemons:
                    self._send(daemon, b"level %d %d %d\n" % (bcm, level, t_ns))
            case SerialSent(device=device, data=data):
                self._ports[device].write(data)
            case W1Changed(text=text):
                self._write_w1(text)
            case PortChanged(device=device, present=present):
                if present:
                    self._plug(device)
                else:
                    self._unplug(device)
            case Happened(name=name, t_ns=t_ns, fields=fields):
                line = msgspec.json.encode({"event": name, "t_ns": t_ns, **fields}) + b"\n"
                for hand in self._hands:
                    if hand.watching:
                        self._send(hand, line)

    def _show(self) -> None:
        """A snapshot to all who watch, if anything changed and the last one is old enough."""
        now_ns = self._world.now_ns
        if now_ns - self._shown_ns < SNAPSHOT_NS or not any(hand.watching for hand in self._hands):
            return
        self._shown_ns = now_ns
        snapshot = self._world.snapshot()
        if snapshot == self._shown:
            return
        self._shown = snapshot
        line = msgspec.json.encode({"snapshot": snapshot}) + b"\n"
        for hand in self._hands:
            if hand.watching:
                self._send(hand, line)

    def _plug(self, device: str) -> None:
        port = self._ports[device]
        port.plug()
        assert port.handle is not None
        self._selector.register(port.handle, selectors.EVENT_READ, port.hear)

    def _unplug(self, device: str) -> None:
        port = self._ports[device]
        if port.handle is not None:
            self._selector.unregister(port.handle)
            port.unplug()

    def _listen(self, name: str, greet: Callable[[socket.socket], None]) -> None:
        path = self._folder / name
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        self._listeners.append(listener)
        try:
            listener.bind(str(path))
        except OSError as error:
            raise OSError(f"cannot listen on {path}: {error}; choose a shorter, writable --dir") from error
        listener.listen()
        self._selector.register(listener, selectors.EVENT_READ, lambda: greet(listener))

    def _greet_daemon(self, listener: socket.socket) -> None:
        daemon = Client(listener.accept()[0])
        # Changes up to now go to those who were there; the newcomer begins with what is true after them.
        for output in self._world.advance(self._clock_ns()):
            self._put(output)
        self._world.find_controller()
        self._daemons.append(daemon)
        for bcm, level in self._world.levels().items():
            self._send(daemon, b"level %d %d %d\n" % (bcm, level, self._world.now_ns))
        self._send(daemon, b"ready\n")
        self._selector.register(daemon.connection, selectors.EVENT_READ, lambda: self._hear_daemon(daemon))

    def _hear_daemon(self, daemon: Client) -> None:
        self._send(daemon, b"")
        for line in daemon.lines():
            match line.split():
                case [b"out", bcm, (b"0" | b"1") as level] if bcm.isdigit():
                    self._world.set_output(int(bcm), int(level), self._clock_ns())
                case _:
                    daemon.gone = True  # not a daemon of ours: its outputs cannot be believed

    def _greet_hand(self, listener: socket.socket) -> None:
        hand = Client(listener.accept()[0])
        self._hands.append(hand)
        self._selector.register(hand.connection, selectors.EVENT_READ, lambda: self._hear_hand(hand))

    def _hear_hand(self, hand: Client) -> None:
        self._send(hand, b"")
        for line in hand.lines():
            if not line.strip():
                continue
            for output in self._world.advance(self._clock_ns()):
                self._put(output)
            answer, watches = obey(line, self._world)
            hand.watching = hand.watching or watches
            self._send(hand, answer)

    def _send(self, client: Client, data: bytes) -> None:
        client.send(data)
        if client.connection.fileno() in self._selector.get_map():
            key = self._selector.get_key(client.connection)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.waits_to_send else 0)
            if key.events != events:
                self._selector.modify(client.connection, events, key.data)

    def _drop_gone(self) -> None:
        for clients in (self._daemons, self._hands):
            for client in [client for client in clients if client.gone]:
                clients.remove(client)
                self._selector.unregister(client.connection)
                client.connection.close()
                if clients is self._daemons and not clients:
                    self._world.lose_controller()

    def _write_w1(self, text: str | None) -> None:
        """Replaced whole: sysfs never shows half a conversion either."""
        path = self._folder / W1_FILE
        if text is None:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="ascii")
        fresh.replace(path)

"""The controller: one inbox, one loop, deadlines, watchdog, shutdown.

The loop owns all state. Every other thread (ledger, uploader, readers, edges, screen, control socket) only puts events
into the inbox, and the loop waits for none of them: a card that stalls for seconds in fdatasync delays no lock.
"""

from __future__ import annotations

import hashlib
import logging
import random
import signal
import time
import uuid
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import requests

from drivers.readings import Edge
from kiosk.answering import Answering
from kiosk.clock import Anchors, Clock
from kiosk.config import Config
from kiosk.control_socket import ControlSocket
from kiosk.core.events import (
    Appended,
    DonePressed,
    Event,
    InputsLost,
    LanguageChosen,
    LedgerOpened,
    ServerTimeReceived,
    StopRequested,
    StorageFailed,
    StorageReturned,
    SyncChanged,
    TariffReceived,
)
from kiosk.core.machine import step
from kiosk.core.states import new_bin
from kiosk.core.view import View, view_of
from kiosk.devices import Devices
from kiosk.inbox import INBOX_EVENTS_MAX, Inbox
from kiosk.ledger_port import LedgerPort
from kiosk.perform import Performer
from kiosk.screen.server import Screen
from kiosk.sd_notify import notify
from sync.exchange import Apply
from sync.identity import Identity, card_ref
from sync.ledger.ledger import Ledger
from sync.ledger.lock import LedgerLock
from sync.ledger.thread import LedgerThread
from sync.ledger.values import Crashed, Done, Entry, Failed, LedgerEvent, Opened, Returned, Snapshot
from sync.records import Boot, Counts, Holder, Stamp
from sync.upload_steps import Alarm, Forked, Offline, Online, Outcome, ServerTime, TariffIssued
from sync.uploader import Uploader
from sync.uploader_thread import UploaderThread
from sync.wire import Status

SOFTWARE = version("battery-kiosk")
LOOK_MS = 50
"""How often level inputs are read and deadlines compared: a hazard must act within 500 ms."""
STALL_MS = 40
"""A look that is late by this much means that the process was held up, and every thread of it."""
STALL_GRACE_S = 0.02
MOVING_LOOK_MS = 10
"""While the gate turns or something falls."""
CHORES_MS = 1_000
STORAGE_CHECK_EVERY = 5
STORAGE_STUCK_MS = 10_000
"""Cards stall for seconds in fdatasync and come back; this long means that only a restart can help."""
LEDGER_CLOSE_S = 1.0

log = logging.getLogger(__name__)


class Daemon:
    """One bin. Construction takes the ledger's lock, then the pins with safe outputs, and starts nothing yet.

    Raises :class:`sync.ledger.errors.LedgerInUse` when another daemon runs, before any pin is touched.
    """

    def __init__(self, config: Config, identity: Identity) -> None:
        self._config = config
        self._identity = identity
        self._clock = Clock(config.synchronized_file)
        self._anchors = Anchors()
        self._inbox: Inbox[Event | Edge] = Inbox()
        ledger_path = config.state_dir / "ledger.sqlite"
        self._lock = LedgerLock(ledger_path)
        self._ledger = LedgerThread(partial(self._open_ledger, ledger_path), self._from_ledger)
        self._screen = Screen(
            "127.0.0.1",
            config.screen_port,
            on_done=lambda: self._inbox.put("screen", DonePressed()),
            on_language=self._language_chosen,
            frame_ancestors=config.screen_frame_ancestors,
        )
        self._devices = Devices(
            config, self._inbox.put, holder_of=self._holder_of, new_item_id=lambda: uuid.uuid4().hex
        )
        self._uploader = UploaderThread(
            Uploader(identity=identity, rng=random.SystemRandom()),
            server_url=identity.server_url,
            ledger=LedgerPort(self._ledger, self._clock.stamp, self._from_counts),
            situation=self._situation,
            on_outcome=self._from_uploader,
            session=requests.Session(),
        )
        self._bin = new_bin(config.settings, self._clock.mono_ms())
        self._view: View | None = None
        self._answering = Answering(self._ledger, self._inbox.put, self._clock, lambda: self._bin)
        self._performer = Performer(self._devices, self._ledger, self._clock.stamp, self._answering.answer)
        self._control = ControlSocket(config.run_dir / "control.sock", self._answering.reply)
        self._crashed: str | None = None
        self._stopping = False
        self._next_look_ms = 0
        self._next_chores_ms = 0
        self._chores = 0

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT. The exit code: 0 after a clean end, 1 after a programming error."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._screen.start()
        self._ledger.start()
        self._devices.start()
        self._control.start()
        self._uploader.start()
        self._look(self._clock.mono_ms())
        log.info("bin %s: screen at %s", self._identity.bin_id, self._screen.address)
        notify("READY=1")
        try:
            while not self._stopping and self._crashed is None:
                self._turn()
        finally:
            self._shut_down()
        if self._crashed:
            log.error("%s", self._crashed)
        return 1 if self._crashed else 0

    # --- the loop ---------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """Everything that has come in, then a look when it is time for it.

        In this order: a level read now must not be believed before the edges that led to it. After a stall of the
        whole process their threads get a moment to deliver first, or a battery would fall into the next session.
        """
        wait_ms = self._next_look_ms - self._clock.mono_ms()
        self._take_in(max(0, wait_ms) / 1000)
        now_ms = self._clock.mono_ms()
        if now_ms - self._next_look_ms >= STALL_MS:
            time.sleep(STALL_GRACE_S)
            self._take_in(0)
            now_ms = self._clock.mono_ms()
        if now_ms >= self._next_look_ms:
            self._look(now_ms)
        if now_ms >= self._next_chores_ms:
            self._next_chores_ms = now_ms + CHORES_MS
            self._do_chores()

    def _take_in(self, wait_s: float) -> None:
        """Wait for an event, then take what else is there; not more than the inbox holds, so that looks go on."""
        for _ in range(INBOX_EVENTS_MAX):
            event = self._inbox.get(wait_s)
            if event is None:
                return
            wait_s = 0
            now_ms = self._clock.mono_ms()
            if isinstance(event, Edge):
                self._devices.edge(event)
                self._next_look_ms = min(self._next_look_ms, now_ms + MOVING_LOOK_MS)
            else:
                self._handle(event, now_ms)

    def _look(self, now_ms: int) -> None:
        for source in self._inbox.lossy_sources():
            log.warning("events of %s were lost: the inbox was full", source)
            self._devices.edges_were_lost()
            self._handle(InputsLost(source=source), now_ms)
        for event in self._devices.look(now_ms):
            self._handle(event, now_ms)
        self._next_look_ms = now_ms + (MOVING_LOOK_MS if self._devices.moving else LOOK_MS)

    def _handle(self, event: Event, now_ms: int) -> None:
        """Step, do, and only then show."""
        self._bin, effects = step(self._bin, event, now_ms)
        for effect in effects:
            self._performer.perform(effect)
        view = view_of(self._bin, now_ms)
        if view != self._view:
            self._view = view
            self._screen.publish(view)

    def _do_chores(self) -> None:
        stamp = self._clock.stamp()
        if anchor := self._anchors.due(stamp):
            self._ledger.append_later(Entry(body=anchor, stamp=stamp))
        if self._chores % STORAGE_CHECK_EVERY == 0:
            self._ledger.check_storage()
        self._chores += 1
        # A dead peripheral never withholds the watchdog: restarting would not bring it back.
        if self._ledger.busy_ms() < STORAGE_STUCK_MS:
            notify("WATCHDOG=1")

    def _shut_down(self) -> None:
        notify("STOPPING=1")
        try:
            self._handle(StopRequested(), self._clock.mono_ms())
        finally:
            self._devices.close()
        self._control.close()
        self._uploader.close(0.3)
        if not self._ledger.close(LEDGER_CLOSE_S):
            log.error("the ledger did not close in time; the next start recovers it")
        self._screen.close()
        self._lock.release()

    def _on_signal(self, number: int, frame: object) -> None:
        # Only a flag: the handler runs inside whatever the loop was doing, the inbox's own lock included.
        self._stopping = True

    # --- from other threads -----------------------------------------------------------------------------------------

    def _open_ledger(self, path: Path) -> Ledger:
        return Ledger.open(
            path,
            bin_id=self._identity.bin_id,
            host_id=host_id(),
            stamp=self._clock.stamp(),
            lock=self._lock,
            free_bytes_min=self._config.storage_reserve_bytes,
        )

    def _holder_of(self, scheme: str, uid_hex: str) -> Holder:
        return Holder(scheme=scheme, ref=card_ref(self._identity, scheme=scheme, uid_hex=uid_hex))

    def _language_chosen(self, language: Literal["zh", "en"]) -> None:
        self._inbox.put("screen", LanguageChosen(language=language))

    def _from_ledger(self, event: LedgerEvent) -> None:
        match event:
            case Opened(snapshot=snapshot):
                boot = Boot(version=SOFTWARE, cap_ms=snapshot.cap_ms)
                self._ledger.append_later(Entry(body=boot, stamp=self._clock.stamp()))
                self._inbox.answer(opened(snapshot))
            case Done(ticket=ticket, counts=counts):
                self._inbox.answer(Appended(ticket=ticket, counts=counts))
                self._uploader.poke()
            case Failed(reason=reason, damaged=damaged):
                log.error("%s", reason)
                self._inbox.answer(StorageFailed(reason=reason, damaged=damaged))
            case Returned():
                log.info("the ledger records again")
                self._inbox.answer(StorageReturned())
            case Crashed(reason=reason):
                self._crashed = reason

    def _situation(self) -> tuple[Status, Stamp]:
        """How the bin is, for the next request; asked in the uploader's thread."""
        counts, tariff = self._bin.counts, self._bin.tariff
        status = Status(
            software=SOFTWARE,
            accepted=counts.accepted,
            acknowledged=counts.acknowledged,
            pending=counts.pending,
            held=counts.held,
            tariff_version=tariff.version if tariff else None,
        )
        return status, self._clock.stamp()

    def _from_counts(self, counts: Counts) -> None:
        self._inbox.answer(SyncChanged(online=True, counts=counts, trouble=None))

    def _from_uploader(self, outcome: Outcome) -> None:
        match outcome:
            case Online():
                log.info("the points server answers")
                self._inbox.answer(SyncChanged(online=True, counts=None, trouble=None))
            case Offline(trouble=trouble):
                log.warning("no points server: %s", trouble)
                self._inbox.answer(SyncChanged(online=False, counts=None, trouble=trouble))
            case TariffIssued(tariff=tariff):
                self._inbox.answer(TariffReceived(tariff=tariff))
            case ServerTime(wall_ms=wall_ms):
                self._inbox.answer(ServerTimeReceived(wall_ms=wall_ms))
            case Alarm(code="uploader_crashed", text=text):
                self._crashed = text
            case Alarm(code=code, text=text):
                log.error("sync alarm %s: %s", code, text)
            case Forked(generation=generation):
                log.error("the server has other records of generation %s: a new one was begun", generation)
            case Apply():
                pass  # its counts came through _from_counts


def opened(snapshot: Snapshot) -> LedgerOpened:
    """The ledger's memory as the core's event."""
    return LedgerOpened(
        counts=snapshot.counts,
        open_deposits=snapshot.open_deposits,
        hazards=snapshot.hazards,
        faults=snapshot.faults,
        credits=snapshot.credits,
        cap_ms=snapshot.cap_ms,
        tariff=snapshot.tariff,
    )


def host_id() -> str:
    """Names this machine and its card: a ledger that turns up on another one begins a new generation."""
    parts = [Path("/etc/machine-id"), *sorted(Path("/sys/block").glob("mmcblk*/device/cid"))]
    names = [part.read_text().strip() for part in parts if part.exists()]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]

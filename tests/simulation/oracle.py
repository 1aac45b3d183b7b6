"""The judge: physical falls, the bytes that the screen was sent, and the files of ledger and server read by SQL.

It knows nothing of the core's state. What binds them is the item id, which the harness gives out when something has
passed the beams: from then until its record was asked for, what falls belongs to that item.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiosk.simulator.truth import Fall
from sync import wire
from sync.exchange import Apply
from sync.ledger.ledger import Ledger
from sync.ledger.reading import LedgerReading
from sync.points_server.tariffs import DEFAULT_TARIFF
from sync.records import Head
from tests.simulation.network import SECOND_TARIFF
from tests.simulation.timers import MS

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

TARIFFS = {tariff.version: tariff for tariff in (DEFAULT_TARIFF, SECOND_TARIFF)}
CLASSES = {
    "aa": {"AA"},
    "aaa": {"AAA"},
    "c": {"C"},
    "d": {"D"},
    "9v": {"9V"},
    "18650": {"9V", "18650"},
    "coin": {"coin"},
}
"""What one battery alone may be taken for: by mass and length, an 18650 lying across is a 9 V block."""

LEVELS_MS = 60
"""How old a level may be when the controller acts on it: one look."""
STOP_MS = 150
"""How long a motor may run on after its flap or door has opened: one look while it moves, and its wire."""
HEAT_MS = 2_500
"""From a hot bin to a locked flap: the sensor's second, the reader's second, a look."""
GONE_SINCE_MS = 1_500
"""A pull that began this long before the record was not seen by scale or beams before it was asked for."""
PASSAGE_MS = 100
"""With a beam cut off, a passage begins only at the other one."""
IN_HAND = ("accepting", "closing", "weighing", "committing")
"""What the screen says while an item has no record yet, or nobody has been told of it."""


class Broken(AssertionError):
    """A promise was broken."""


@dataclass(slots=True)
class Shown:
    """A credit as the screen first said it."""

    points: int
    count: int
    battery_class: str
    unpaid: bool
    t_ns: int


class Screen:
    """What the residents' page was sent, with the time; every byte."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.sent: list[tuple[int, bytes]] = []
        self.last: dict[str, Any] = {"screen": "starting"}

    def show(self, message: bytes) -> None:
        self.sent.append((self._simulation.timers.now_ns, message))
        before, self.last = self.last, json.loads(message.removeprefix(b"data: "))
        self._simulation.oracle.sees(before, self.last)

    def dark(self) -> None:
        """The process died: the page shows that it lost its stream."""
        self.last = {"screen": "starting"}


class Oracle:
    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._timers = simulation.timers
        self.shown: dict[str, Shown] = {}
        self._passed_ns: dict[str, int] = {}
        self._asked_ns: dict[str, int] = {}
        self._ever_stored: set[tuple[str, int, str]] = set()
        self._ever_held: set[tuple[str, int]] = set()
        self._level_ns: dict[str, int] = {}
        self.latched = False
        self._clearing_asked = False
        self.checks = 0

    # --- while it runs ----------------------------------------------------------------------------------------------

    def passed(self, item_id: str, started_ns: int) -> None:
        self._passed_ns[item_id] = started_ns

    def asked(self, ticket: str) -> None:
        self._asked_ns.setdefault(ticket, self._timers.now_ns)

    def sees(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        """One view: a credit that was never shown before must be durable by now, and every total with it."""
        credit = now.get("credit")
        if credit is None or credit["item_id"] in self.shown:
            points = now.get("session_points", 0)
            if points > before.get("session_points", 0):
                raise Broken(f"the session's points rose to {points} without a new credit")
            return
        item_id = credit["item_id"]
        self.shown[item_id] = Shown(
            points=credit["points"],
            count=credit["count"],
            battery_class=credit["battery_class"],
            unpaid=credit["unpaid"],
            t_ns=self._timers.now_ns,
        )
        deposit = self._deposits_on_disk().get(item_id)
        if deposit is None:
            raise Broken(f"credit {item_id} was shown before it was durable")
        if deposit["points"] != credit["points"] or deposit["count"] != credit["count"]:
            raise Broken(f"credit {item_id} was shown as {credit}, recorded as {deposit}")

    def restarts(self) -> None:
        """After a death: what was shown is in the file that is left."""
        lost = self.shown.keys() - self._deposits_on_disk().keys()
        if lost:
            raise Broken(f"credits {sorted(lost)} were shown and are not in the ledger after the crash")

    def _deposits_on_disk(self) -> dict[str, Any]:
        self.checks += 1
        with self._simulation.medium.on_disk() as db:
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'records'").fetchone():
                return {}
            rows = db.execute("SELECT body FROM records WHERE kind = 'deposit'").fetchall()
        return {body["item_id"]: body for body in (json.loads(row[0]) for row in rows)}

    def server_holds(self, path: Path) -> None:
        """After each request: what is durable at the server."""
        db = sqlite3.connect(path)
        try:
            rows = db.execute("SELECT generation, seq, hash FROM records").fetchall()
            self._ever_stored.update((generation, seq, hash_.hex()) for generation, seq, hash_ in rows)
            self._ever_held.update(db.execute("SELECT generation, seq FROM verdicts WHERE verdict = 'held'").fetchall())
        finally:
            db.close()

    def applies(self, answer: Apply) -> None:
        """Before an acknowledgement is believed: the server must have had it, and said so of what it holds."""
        if answer.seq and (answer.generation, answer.seq, answer.hash.hex()) not in self._ever_stored:
            raise Broken(f"an acknowledgement of {answer.generation}/{answer.seq} is believed; the server never had it")
        for hold in answer.held:
            if (hold.generation, hold.seq) not in self._ever_held:
                raise Broken(f"{hold.generation}/{hold.seq} is held ({hold.code}), which the server never said")

    def applied(self, ledger: Ledger) -> None:
        counted = LedgerReading.counts(ledger)
        if counted != ledger.counts():
            raise Broken(f"the ledger counts {ledger.counts()}, its tables say {counted}")
        if counted.accepted != counted.acknowledged + counted.pending + counted.held:
            raise Broken(f"accepted is not acknowledged + pending + held: {counted}")
        cursor = ledger.cursor()
        if cursor and (cursor.generation, cursor.seq, cursor.hash) not in self._ever_stored:
            raise Broken(f"the cursor stands at {cursor.generation}/{cursor.seq}, which the server never had")

    def beyond(self, ack: wire.Ack, sent: wire.WireHead) -> wire.Ack:
        """The newest record that the bin has, if the request did not know of it yet: the most believable lie."""
        with self._simulation.medium.on_disk() as db:
            row = db.execute("SELECT generation, seq, hash FROM records ORDER BY position DESC LIMIT 1").fetchone()
        head = Head(generation=row[0], seq=row[1], hash=row[2].hex())
        if (head.generation, head.seq) != (sent.generation, sent.seq):
            return wire.Ack(generation=head.generation, acked_seq=head.seq, acked_hash=head.hash)
        return wire.Ack(generation=ack.generation, acked_seq=ack.acked_seq + 3, acked_hash="9" * 64)

    # --- actuators --------------------------------------------------------------------------------------------------

    def level(self, line: str) -> None:
        self._level_ns[line] = self._timers.now_ns
        simulation = self._simulation
        if line in ("door", "flap_closed") and simulation.motor_on and self._long(line, "open", 0):
            self._timers.after(STOP_MS, lambda: self._must_stand(line, simulation.lives))

    def _must_stand(self, line: str, life: int) -> None:
        simulation = self._simulation
        if (
            simulation.controller
            and simulation.lives == life
            and simulation.motor_on
            and self._long(line, "open", STOP_MS)
        ):
            raise Broken(f"the gate still turns {STOP_MS} ms after the {line} wire said open")

    def _long(self, line: str, state: str, ms: int) -> bool:
        """Whether a level has been so for that long."""
        is_open = self._simulation.world_level(line) == 1
        return is_open == (state == "open") and self._timers.now_ns - self._level_ns.get(line, 0) >= ms * MS

    def drives(self, name: str, level: int) -> None:
        """A command of a live controller to lock or motor."""
        if not level:
            return
        if self._long("door", "open", LEVELS_MS):
            raise Broken(f"{name} is powered with the door open")
        if name == "flap_lock":
            if self._still_latched():
                raise Broken("the flap is unlocked while a hazard is latched")
            return
        if self._long("flap_closed", "open", LEVELS_MS):
            raise Broken("the gate is driven with the flap open")
        if self._still_latched():
            raise Broken("the gate is driven while a hazard is latched")
        if name == "gate_in1" and self._simulation.screen.last["screen"] in IN_HAND:
            self._tips_only_what_is_recorded()

    def _tips_only_what_is_recorded(self) -> None:
        lying = [fall for fall in self._simulation.world.truth if fall.where == "shelf" and fall.through_beams]
        if not lying:
            return
        with self._simulation.medium.on_disk() as db:
            rows = db.execute("SELECT item_id FROM records WHERE kind IN ('deposit', 'refusal')").fetchall()
        if not any(self._belongs(fall, item_id) for fall in lying for (item_id,) in rows):
            raise Broken(f"the gate tips {lying} to the store with no record of it on the disk")

    def _belongs(self, fall: Fall, item_id: str) -> bool:
        """Whether it fell between the item's first passage and the asking for its record."""
        assert fall.t_ns is not None
        return self._passed_ns[item_id] - PASSAGE_MS * MS <= fall.t_ns <= self._asked_ns[item_id]

    def clearing(self) -> None:
        """A technician asks on site; from now on a clearing on the disk counts."""
        self._clearing_asked = True

    def _still_latched(self) -> bool:
        if self.latched and self._clearing_asked:
            with self._simulation.medium.on_disk() as db:
                row = db.execute(
                    "SELECT kind FROM records WHERE kind IN ('hazard_raised', 'hazard_cleared') "
                    "ORDER BY position DESC LIMIT 1"
                ).fetchone()
            self.latched = row != ("hazard_cleared",)
        return self.latched

    def latch(self) -> None:
        """The bin has been hot for :data:`HEAT_MS` under a live controller."""
        self.latched, self._clearing_asked = True, False
        if self._simulation.driven["flap_lock"]:
            raise Broken("the flap is unlocked though the bin is hot")

    # --- at the end -------------------------------------------------------------------------------------------------

    def judge(self) -> None:
        """Everything is mended and drained: compare what fell, what was shown and what was paid."""
        simulation = self._simulation
        with simulation.medium.on_disk() as db:
            self._judge_ledger(db)
            deposits = self._deposits_on_disk()
        lines, held = self._server_says()
        paid = self._paid(lines)
        for item_id, shown in self.shown.items():
            if item_id not in paid:
                raise Broken(f"credit {item_id} of {shown.points} points was shown and never paid")
            if paid[item_id] != shown.points:
                raise Broken(f"credit {item_id} was shown as {shown.points} points, paid {paid[item_id]}")
        if paid.keys() != deposits.keys():
            raise Broken(f"journal and ledger differ: {sorted(paid.keys() ^ deposits.keys())}")
        if held:
            raise Broken(f"the server still holds {held}")
        spent: set[int] = set()
        for item_id, deposit in deposits.items():
            self._judge_deposit(item_id, deposit, paid[item_id], spent)
        if simulation.calm:
            self._judge_calm(deposits, spent)

    def _judge_ledger(self, db: sqlite3.Connection) -> None:
        cursor = db.execute("SELECT cursor FROM state").fetchone()[0]
        pending = db.execute(
            "SELECT item_id FROM records WHERE kind = 'deposit' AND position > ?", (cursor,)
        ).fetchall()
        if pending:
            raise Broken(f"deposits {pending} are still pending after everything was mended")
        rows = db.execute(
            "SELECT item_id, (SELECT count(*) FROM records AS tips WHERE kind IN ('tip_confirmed', 'tip_failed') "
            "AND tips.item_id = deposits.item_id) FROM records AS deposits WHERE kind = 'deposit'"
        ).fetchall()
        for item_id, tips in rows:
            if tips != 1:
                raise Broken(f"deposit {item_id} has {tips} ends of its tip")

    def _server_says(self) -> tuple[list[tuple[Any, ...]], list[Any]]:
        db = sqlite3.connect(self._simulation.server.path)
        try:
            lines = db.execute("SELECT item_id, account, points, generation, seq, branch FROM journal").fetchall()
            held = db.execute("SELECT generation, seq, code FROM verdicts WHERE verdict = 'held'").fetchall()
        finally:
            db.close()
        if sum(line[2] for line in lines):
            raise Broken("the journal's lines do not add up to nothing")
        return lines, held

    def _paid(self, lines: list[tuple[Any, ...]]) -> dict[str, int]:
        paid: dict[str, int] = {}
        for item_id, account, points, *_ in lines:
            if account == "programme":
                continue
            if item_id in paid:
                raise Broken(f"item {item_id} stands twice in the journal")
            paid[item_id] = points
        return paid

    def _judge_deposit(self, item_id: str, deposit: dict[str, Any], paid: int, spent: set[int]) -> None:
        if item_id not in self._passed_ns:
            raise Broken(f"deposit {item_id} is about nothing that passed the beams")
        price = TARIFFS[deposit["tariff_version"]].items[deposit["battery_class"]].points * deposit["count"]
        if paid != (0 if deposit["unpaid"] else price):
            raise Broken(f"item {item_id}: {paid} points paid, the tariff says {price}")
        until_ns = self._asked_ns[item_id]
        falls = [
            fall
            for fall in self._simulation.world.truth
            if fall.through_beams and fall.t_ns is not None and self._belongs(fall, item_id)
        ]
        good = [fall for fall in falls if self._may_be_paid(fall, until_ns) and fall.fall_id not in spent]
        if len(good) < deposit["count"]:
            raise Broken(f"item {item_id} pays for {deposit['count']}, but there fell {falls}")
        spent.update(fall.fall_id for fall in good[: deposit["count"]])
        if len(falls) == 1 and deposit["battery_class"] not in CLASSES[falls[0].kind]:
            raise Broken(f"item {item_id} is taken for {deposit['battery_class']}: {falls[0]}")

    def _may_be_paid(self, fall: Fall, asked_ns: int) -> bool:
        if fall.kind == "stone":
            return False
        where = [place for _, place in fall.history]
        if "shelf" not in where:
            return False
        if fall.where == "store":
            return True
        if fall.where == "gone":
            # Somebody took it: fair only if the record could not know.
            lay = max(index for index, place in enumerate(where) if place == "shelf")
            return fall.history[lay + 1][0] >= asked_ns - GONE_SINCE_MS * MS
        return False

    def _judge_calm(self, deposits: dict[str, Any], spent: set[int]) -> None:
        """Nothing went wrong, so everything honest must have been credited: a bin that refuses all is no bin."""
        honest = {
            fall.fall_id
            for fall in self._simulation.world.truth
            if fall.t_ns is not None and fall.through_beams and not fall.string and fall.kind != "stone"
        }
        if honest != spent or sum(deposit["count"] for deposit in deposits.values()) != len(honest):
            missing = [fall for fall in self._simulation.world.truth if fall.fall_id in honest - spent]
            raise Broken(f"nothing went wrong, and yet these were not credited: {missing}")
        if self.shown.keys() != deposits.keys():
            raise Broken("nothing went wrong, and yet a credit was not shown")

"""One seed: a bin, its people, its troubles and its server, in virtual time, then mended, drained and judged."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random

from kiosk.core.effects import Answer
from kiosk.core.events import DonePressed, HazardClearRequested
from kiosk.core.settings import Settings
from kiosk.core.states import Idle
from kiosk.simulator.outputs import PinChanged
from kiosk.simulator.params import Params
from kiosk.simulator.wiring import OUTPUTS
from kiosk.simulator.world import World
from sync.identity import card_ref
from sync.records import Holder
from tests.simulation.clock import Clock
from tests.simulation.controller import Controller
from tests.simulation.faults import Crashed, Fate
from tests.simulation.medium import Medium
from tests.simulation.network import Network, Server, enrolled
from tests.simulation.oracle import HEAT_MS, Broken, Oracle, Screen
from tests.simulation.pins import LINES
from tests.simulation.story import Script, Story
from tests.simulation.timers import MS, Timers

CALM_EVERY = 5
"""One seed in so many has no faults, and is held to equality."""
TROUBLE_MS_MAX = 100_000
DRAIN_MS_MAX = 900_000
CLEAR_EVERY_MS = 5_000
OPERATOR_MS = 30_000


@dataclass(slots=True)
class Report:
    """What came of one seed. ``digest`` covers all bytes that went out; ``broken`` is null when all promises held."""

    seed: int
    fired: Counter[str] = field(default_factory=Counter)
    broken: str | None = None
    digest: str = ""
    credits: int = 0
    falls: int = 0
    lives: int = 0
    virtual_s: int = 0


@lru_cache(maxsize=64)
def reference(scheme: str, uid_hex: str) -> str:
    """The key derivation is slow on purpose, and the same for every seed."""
    return card_ref(enrolled()[1], scheme=scheme, uid_hex=uid_hex)


def run(seed: int, *, calm: bool | None = None) -> Report:
    """Play one seed. Anything that the product raises is a broken promise as well."""
    report = Report(seed=seed)
    folder = Path(tempfile.mkdtemp(prefix="kiosk-simulation-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    simulation = None
    try:
        simulation = Simulation(seed, folder, calm=seed % CALM_EVERY == 0 if calm is None else calm)
        simulation.play()
    except Exception as error:
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
        report.broken = f"{error}" if isinstance(error, Broken) else f"{type(error).__name__} at {place}: {error}"
    finally:
        if simulation:
            report.fired = simulation.fate.fired
            report.digest = simulation.digest()
            report.credits = len(simulation.oracle.shown)
            report.falls = len(simulation.world.truth)
            report.lives = simulation.lives
            report.virtual_s = simulation.timers.now_ns // (1_000 * MS)
            simulation.close()
        shutil.rmtree(folder, ignore_errors=True)
    return report


class Simulation:
    """Everything around the process: time, world, medium, network; and who starts the process again."""

    def __init__(self, seed: int, folder: Path, *, calm: bool) -> None:
        self.seed = seed
        self.calm = calm
        self._rng = rng = Random(f"{seed}:simulation")
        self.timers = Timers()
        self.clock = Clock(self.timers)
        self.clock.boot()
        self.fate = Fate(lambda: self.medium.freeze())
        self.medium = Medium(folder, self.fate)
        self.identity = enrolled()[1]
        self.world = World(seed, Params().at_speed(2), now_ns=0)
        self.oracle = Oracle(self)
        self.screen = Screen(self)
        self.server = Server(self, folder)
        self.network = Network(self, self.server)
        self.story = Story(self, trouble=not calm)
        self.settings = Settings(
            session_idle_ms=10_000,
            farewell_ms=1_500,
            flap_close_ms=15_000,
            return_way=rng.random() < 0.8,
            cap_points=rng.choice((40, 100, 100_000)),
            over_cap="unpaid" if calm else rng.choice(("unpaid", "refuse")),
        )
        self.controller: Controller | None = None
        self.lives = 0
        self.doom: tuple[str, int] | None = None
        self.disk_stall_ms = 0
        self.driven = dict.fromkeys(OUTPUTS, 0)
        self.motor_on = False
        self.held_card_sessions = 0
        self._scripts = 0
        self._log = hashlib.sha256()
        self._ids = 0
        self._clearing = 0

    # --- what the process asks of its surroundings ------------------------------------------------------------------

    def new_id(self) -> str:
        self._ids += 1
        return hashlib.sha256(f"{self.seed}:id:{self._ids}".encode()).hexdigest()[:16]

    def new_item_id(self, started_ns: int) -> str:
        item_id = self.new_id()
        self.oracle.passed(item_id, started_ns)
        return item_id

    def holder(self, scheme: str, uid_hex: str) -> Holder:
        return Holder(scheme=scheme, ref=reference(scheme, uid_hex))

    def disk_ms(self) -> int:
        if self.disk_stall_ms and self._rng.randrange(4) == 0:
            return self.disk_stall_ms
        return self._rng.randint(1, 12)

    def drive(self, name: str, level: int) -> None:
        self._log.update(f"{self.timers.now_ns} {name} {level}\n".encode())
        self.driven[name] = level
        self.motor_on = self.driven["gate_in1"] != self.driven["gate_in2"]
        self.oracle.drives(name, level)
        self.world.set_output(OUTPUTS[name], level, self.timers.now_ns)

    def answered(self, answer: Answer) -> None:
        """A technician reads the answer, and asks again while the latch is there."""

    def press_done(self) -> None:
        assert self.controller
        self.controller.handle(DonePressed())

    def world_level(self, line: str) -> int:
        return self.world.levels()[{name: bcm for bcm, name in LINES.items()}[line]]

    # --- life and death ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        if self.controller:
            return
        self.lives += 1
        self.fate.begin(self.doom)
        self.doom = None
        self.world.find_controller()
        self.controller = Controller(self, self.settings)

    def kill(self, name: str) -> None:
        """From outside: SIGKILL, or the mains."""
        if self.controller:
            self.fate.die(name)

    def _bury(self, death: Crashed) -> None:
        """The process is gone; outputs stay driven until the one-shot drops them, or at once without mains."""
        controller, self.controller = self.controller, None
        assert controller
        controller.drop()
        self.medium.bury()
        self.screen.dark()
        self.driven = dict.fromkeys(OUTPUTS, 0)
        self.motor_on = False
        self.oracle.restarts()
        self.world.lose_controller()
        away_ms = self._rng.choice((200, 1_500, 6_000))
        if death.args[0] == "power cut":
            self.world.power(on=False)
            self.timers.after(away_ms, self._power_on)
            away_ms += 2_000
        self.timers.after(away_ms, self.start)

    def _power_on(self) -> None:
        self.world.power(on=True)
        self.clock.boot()

    # --- time -------------------------------------------------------------------------------------------------------

    def play(self) -> None:
        """The troubled time, then mending, draining and judgement."""
        if self._rng.random() < 0.5:
            self.timers.after(self._rng.randint(5_000, 60_000), self._raise_prices)
        self.timers.after(0, self.start)
        self.play_script(self.story.people())
        if not self.calm:
            for script in self.story.troubles():
                self.play_script(script)
        self._until(lambda: self._scripts == 0, TROUBLE_MS_MAX if not self.calm else 4 * TROUBLE_MS_MAX)
        self._trouble_is_over = True
        self.story.mend()
        self._until(lambda: self.controller is not None, 20_000)
        self.fate.spare()
        self.server.raise_prices()
        if not self.calm:
            self.play_script(self.story.technician_looks_in())
        self.play_script(self._clear_hazards())
        assert self.controller
        self.controller.uploading.poke()
        self._operate()
        if not self._until(self._drained, DRAIN_MS_MAX):
            raise Broken(f"never drained: {self._why_not()}")
        assert self.controller
        self.controller.stop()
        self.controller = None
        self.server.close()
        self.oracle.judge()
        if self.calm and self.held_card_sessions > 1:
            raise Broken(f"a card held for a minute was {self.held_card_sessions} sessions")

    _trouble_is_over = False

    def _raise_prices(self) -> None:
        self.fate.happened("tariff")
        self.server.raise_prices()

    def play_script(self, script: Script) -> None:
        self._scripts += 1
        self._go_on(script)

    def _go_on(self, script: Script) -> None:
        if self._trouble_is_over and script.gi_code.co_name not in AFTER_TROUBLE:
            self._scripts -= 1
            return
        try:
            wait = next(script)
        except StopIteration:
            self._scripts -= 1
            return
        except Crashed:
            # The script went on to whatever killed the process; it goes on afterwards.
            self.timers.after(0, lambda: self._go_on(script))
            raise
        if isinstance(wait, tuple):
            self._wait_for(script, *wait)
        else:
            self.timers.after(wait, lambda: self._go_on(script))

    def _wait_for(self, script: Script, condition, most_ms: float) -> None:  # type: ignore[no-untyped-def]
        if most_ms <= 0 or condition():
            self.timers.after(0, lambda: self._go_on(script))
        else:
            self.timers.after(100, lambda: self._wait_for(script, condition, most_ms - 100))

    def _until(self, condition, most_ms: int) -> bool:  # type: ignore[no-untyped-def]
        """Let time pass until then; false when it took too long."""
        end_ns = self.timers.now_ns + most_ms * MS
        check_ns = self.timers.now_ns
        while self.timers.now_ns < end_ns:
            try:
                self._advance()
            except Crashed as death:
                self._bury(death)
            if self.timers.now_ns >= check_ns:
                if condition():
                    return True
                check_ns = self.timers.now_ns + 200 * MS
        return False

    def _advance(self) -> None:
        """To whatever comes next, and do it."""
        timers, world, controller = self.timers, self.world, self.controller
        next_ns = min(ns for ns in (timers.next_ns(), world.next_ns()) if ns is not None)
        if controller:
            next_ns = min(next_ns, controller.next_look_ns)
        timers.now_ns = max(timers.now_ns, next_ns)
        outputs = world.advance(timers.now_ns)
        for output in outputs:
            if isinstance(output, PinChanged):
                self.oracle.level(LINES[output.bcm])
            if self.controller:
                self.controller.take(output)
        while due := timers.due():
            due()
        if self.controller and timers.now_ns >= self.controller.next_look_ns:
            self.controller.look()

    # --- mending ----------------------------------------------------------------------------------------------------

    def heat(self, milli_celsius: int) -> Script:
        """Hot until it is mended or for a while; a controller that lives through it must lock, and stay locked."""
        self.world.heat(milli_celsius)
        life = self.lives
        yield (lambda: self.story.sensor_broken), HEAT_MS
        if self.controller and self.lives == life and self.controller.bin.ledger_open and not self.story.sensor_broken:
            self.oracle.latch()
        yield 6_000
        self.world.heat(21_000)
        yield 5_000
        yield from self._clear_hazards()

    def _clear_hazards(self) -> Script:
        """A technician on site asks until it is done."""
        while not self.controller or self.controller.bin.latched:
            if self.controller:
                self._clearing += 1
                self.oracle.clearing()
                self.controller.handle(
                    HazardClearRequested(ticket=f"technician-{self._clearing}", reason="cooled down")
                )
            yield CLEAR_EVERY_MS

    def _operate(self) -> None:
        """The server's operator looks after held deposits, now and then."""
        self.timers.after(OPERATOR_MS, self._operate)
        self.server.release_unpaid()

    def _drained(self) -> bool:
        controller = self.controller
        return (
            self._scripts == 0
            and self.network.healthy_answers > 0
            and controller is not None
            and isinstance(controller.bin.phase, Idle)
            and controller.bin.phase.farewell is None
            and controller.bin.counts.pending == 0
            and controller.bin.counts.held == 0
            and controller.bin.online
            and not self.world.snapshot()["waiting"]
            and not self.world.snapshot()["shelf"]["items"]
            and not controller.uploading.busy
        )

    def _why_not(self) -> str:
        controller = self.controller
        if controller is None:
            return "no process"
        bin, snapshot = controller.bin, self.world.snapshot()
        return (
            f"{self.screen.last.get('screen')} {self.screen.last.get('reason')} {type(bin.phase).__name__} "
            f"{bin.counts} online={bin.online} latched={set(bin.latched)} blocked={bin.gate_blocked} "
            f"trouble={bin.sync_trouble} storage={bin.storage_trouble} scripts={self._scripts} "
            f"shelf={snapshot['shelf']} lost={dict(bin.lost)}"
        )

    # --- afterwards -------------------------------------------------------------------------------------------------

    def digest(self) -> str:
        """Of all commands, screens and postings."""
        digest = self._log.copy()
        for t_ns, message in self.screen.sent:
            digest.update(f"{t_ns} ".encode() + message)
        for path, sql in (
            (self.server.path, "SELECT item_id, account, points, generation, seq FROM journal ORDER BY id"),
            (self.medium.path, "SELECT generation, seq, hash FROM records ORDER BY position"),
        ):
            db = sqlite3.connect(path)
            try:
                digest.update(repr(db.execute(sql).fetchall()).encode())
            except sqlite3.Error:
                digest.update(b"unreadable")
            finally:
                db.close()
        return digest.hexdigest()[:16]

    def close(self) -> None:
        """Leave no connection or lock behind, however it ended."""
        if self.controller:
            self.controller.drop()
            self.controller = None
            self.medium.freeze()
            self.medium.bury()
            self.server.close()


AFTER_TROUBLE = ("technician_looks_in", "_clear_hazards")

"""What people do at the bin and what befalls it, drawn by seed. Scripts are generators: they yield how long to wait.

A script yields milliseconds, or ``(condition, milliseconds at most)``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulation.clock import YEAR_MS
from tests.simulation.faults import BOUNDARIES, NETWORK

if TYPE_CHECKING:
    from tests.simulation.run import Simulation

Script = Generator[float | tuple[Callable[[], Any], float], None, None]

BATTERIES = ("aa", "aaa", "c", "d", "9v", "18650", "coin")
STONE_MG = (400_000, 590_000)
"""Heavier than any handful of batteries: these sensors cannot tell a stone that weighs and measures like one."""
OVERLOAD_MG = 700_000
CODE = "HOUSEHOLD-0042"


class Story:
    """One seed's people and troubles. ``trouble``: whether anything may go wrong."""

    def __init__(self, simulation: Simulation, *, trouble: bool) -> None:
        self._simulation = simulation
        self._world = simulation.world
        self._trouble = trouble
        self._rng = Random(f"{simulation.seed}:people")
        self._fault_rng = Random(f"{simulation.seed}:faults")
        self._unplugged: set[str] = set()
        self.sensor_broken = False

    def _happened(self, name: str) -> None:
        self._simulation.fate.happened(name)

    @property
    def _screen(self) -> str:
        return str(self._simulation.screen.last["screen"])

    # --- people -----------------------------------------------------------------------------------------------------

    def people(self) -> Script:
        """Some visits, one after the other."""
        rng = self._rng
        yield lambda: self._screen == "idle", 15_000
        for _ in range(rng.randint(4, 6)):
            yield from self._visit()
            yield rng.choice((200, 1_500, 4_000))
        if rng.random() < 0.1:
            yield from self._hold_card()

    def _visit(self) -> Script:
        rng = self._rng
        card = str(rng.randrange(3))
        if rng.random() < 0.1:
            self._happened("code scanned")
            self._world.scan(CODE)
        else:
            self._world.tap(card)
        yield lambda: self._screen == "accepting", 6_000
        if self._screen != "accepting" and rng.random() < 0.5:
            return
        for _ in range(rng.choice((1, 1, 2, 2, 3))):
            yield from self._item()
        if rng.random() < 0.15:
            self._happened("second card")
            self._world.tap(str(rng.randrange(3)))
            yield rng.choice((100, 800, 2_500))
            yield from self._item()
        if rng.random() < 0.5 and self._simulation.controller:
            self._simulation.press_done()
        yield lambda: self._screen in ("idle", "farewell"), rng.choice((2_000, 8_000, 14_000))

    def _item(self) -> Script:
        rng, world = self._rng, self._world
        draw = rng.randrange(100)
        kind = rng.choice(BATTERIES)
        if draw < 70:
            world.drop(kind)
            if self._trouble and draw < 6:
                yield rng.choice((900, 1_500, 2_200, 3_000, 4_000))
                yield from self._pull_out()
        elif draw < 76:
            self._happened("two at once")
            world.drop(kind)
            world.drop(kind, hurried=True)
        elif draw < 82:
            self._happened("string")
            world.drop(kind, string=True)
        elif draw < 86:
            self._happened("hand")
            world.hand(rng.randint(400, 2_000), reaches_b=rng.random() < 0.5)
        elif draw < 90:
            self._happened("stone")
            world.drop("stone", mass_mg=rng.randint(*STONE_MG))
        elif draw < 92 and self._trouble:
            self._happened("overload")
            world.drop("stone", mass_mg=OVERLOAD_MG)
        elif self._trouble:
            yield from self._disagree(kind)
        else:
            world.drop(kind)
        yield from self._served()

    def _served(self) -> Script:
        """Nobody throws the next one in before the screen has said something about this one."""
        yield 500
        yield lambda: self._nobody_acts() and self._screen in ("accepting", "idle", "farewell"), 12_000

    def _nobody_acts(self) -> bool:
        seen = self._world.snapshot()
        return not seen["waiting"] and not seen["falling"] and seen["flap"]["open"] == 0

    def _disagree(self, kind: str) -> Script:
        """Beams without a mass or a mass without beams, and nothing else meanwhile: with both, sensors are fooled."""
        snapshot = self._world.snapshot()
        if not self._nobody_acts() or snapshot["shelf"]["items"] or snapshot["flap"]["stuck"]:
            return
        way = self._rng.randrange(3)
        if way == 0:
            self._happened("ghost in the beams")
            self._world.ghost()
        elif way == 1:
            self._happened("placed past the beams")
            self._world.place(kind)
        else:
            self._happened("missed the shelf")
            self._world.drop(kind, misses_shelf=True)
            yield (lambda: not self._world.snapshot()["waiting"]), 31_000
        yield 12_000

    def _pull_out(self) -> Script:
        if self._world.snapshot()["shelf"]["items"]:
            self._happened("item pulled out")
            self._world.pull_out()
        yield 300

    def _hold_card(self) -> Script:
        """A card lies on the reader for a minute: one session."""
        self._happened("card held")
        self._world.hold("3")
        before = len(self._simulation.screen.sent)
        yield 60_000
        self._world.hold(None)
        sessions, last = 0, b""
        for _, message in self._simulation.screen.sent[before:]:
            scene = message.split(b'"', 4)[3]
            sessions += scene == b"accepting" and last not in (b"accepting", b"closing")
            last = scene
        self._simulation.held_card_sessions = sessions

    # --- troubles ---------------------------------------------------------------------------------------------------

    def troubles(self) -> list[Script]:
        """The scripts of this seed's faults, each beginning at a drawn time."""
        rng = self._fault_rng
        everything = [
            *([self._crashes] * 3),
            *([self._network] * 3),
            self._network_down,
            self._restore,
            self._commits,
            self._storage_out,
            self._slow_card,
            self._wall_clock,
            self._reader_noise,
            self._scale_noise,
            self._stuck_flap,
            self._jam,
            self._door,
            self._heat,
            self._thermometer,
            self._scale_unplugged,
            self._reader_unplugged,
            self._beam_held,
            self._inbox_full,
        ]
        chosen = [self._crashes(), self._network()]
        chosen += [script() for script in rng.sample(everything, rng.randint(2, 5))]
        return [self._begin_at(rng.choice((0, 2_000, 10_000, 25_000, 45_000)), script) for script in chosen]

    def _begin_at(self, delay_ms: int, script: Script) -> Script:
        yield delay_ms
        yield from script

    def _crashes(self) -> Script:
        rng = self._fault_rng
        for _ in range(rng.randint(1, 3)):
            draw = rng.random()
            if draw < 0.75:
                self._doom(rng.choice(BOUNDARIES), rng.choice((1, 1, 2, 3, 5)))
            elif draw < 0.85:
                self._simulation.kill("crash while idle")
            else:
                self._simulation.kill("power cut")
            yield rng.randint(3_000, 40_000)

    def _doom(self, boundary: str, times: int = 1) -> None:
        """This process, or the next one, dies there."""
        self._simulation.doom = (boundary, times)
        if self._simulation.controller:
            self._simulation.fate.begin(self._simulation.doom)

    def _perhaps_doom(self, *boundaries: str) -> None:
        """Few stories come to these boundaries; this one is about to."""
        if self._fault_rng.random() < 0.4:
            self._doom(self._fault_rng.choice(boundaries))

    def _network(self) -> Script:
        rng = self._fault_rng
        network = self._simulation.network
        yield lambda: self._simulation.controller and self._simulation.controller.bin.tariff, 20_000
        faults = [fault for fault in NETWORK if fault not in ("network down", "server restored")]
        network.trouble = {fault: rng.choice((200, 500, 1_000)) for fault in rng.sample(faults, rng.randint(1, 3))}
        yield rng.randint(20_000, 90_000)
        network.trouble = {}

    def _network_down(self) -> Script:
        self._simulation.network.down = True
        yield self._fault_rng.choice((5_000, 60_000, 300_000))
        self._simulation.network.down = False

    def _restore(self) -> Script:
        rng = self._fault_rng
        for _ in range(rng.randint(1, 2)):
            self._simulation.server.back_up()
            yield rng.randint(10_000, 40_000)
            if self._simulation.server.restore(rng):
                self._happened("server restored")
            yield rng.randint(1_000, 20_000)

    def _commits(self) -> Script:
        rng = self._fault_rng
        for _ in range(rng.randint(1, 4)):
            self._simulation.medium.fail_commits = [rng.choice(("lost", "kept")) for _ in range(rng.randint(1, 3))]
            yield rng.randint(3_000, 25_000)

    def _storage_out(self) -> Script:
        self._simulation.medium.out = True
        yield self._fault_rng.randint(1_000, 20_000)
        self._simulation.medium.out = False

    def _slow_card(self) -> Script:
        self._happened("slow card")
        self._simulation.disk_stall_ms = self._fault_rng.choice((500, 3_000))
        yield 20_000
        self._simulation.disk_stall_ms = 0

    def _wall_clock(self) -> Script:
        rng, clock = self._fault_rng, self._simulation.clock
        for _ in range(rng.randint(1, 4)):
            draw = rng.randrange(3)
            if draw == 0:
                self._happened("wall clock untrusted")
                clock.trusted = not clock.trusted
            else:
                self._happened(("wall clock years ahead", "wall clock years behind")[draw - 1])
                clock.wall_off_ms += (YEAR_MS, -YEAR_MS)[draw - 1] * rng.randint(1, 30)
            yield rng.randint(1_000, 20_000)

    def _reader_noise(self) -> Script:
        rng = self._fault_rng
        self._world.make_noisy("card_reader", 400)
        for _ in range(6):
            self._happened("reader noise")
            self._world.noise(rng.choice(("card_reader", "scale", "qr_reader")), rng.randint(1, 60))
            yield rng.randint(200, 4_000)
        self._world.make_noisy("card_reader", 0)

    def _scale_noise(self) -> Script:
        self._happened("scale noise")
        self._world.make_noisy("scale", 300)
        self._world.upset_scale(noise_mg=self._fault_rng.choice((15, 200)), drift_mg_s=self._fault_rng.choice((0, 20)))
        yield 25_000
        self._world.make_noisy("scale", 0)
        self._world.upset_scale()

    def _stuck_flap(self) -> Script:
        self._happened("flap stuck open")
        self._world.stick_flap(True, open_now=self._fault_rng.random() < 0.3)
        yield self._fault_rng.choice((2_000, 12_000, 35_000))
        self._world.stick_flap(False)

    def _jam(self) -> Script:
        self._happened("gate jammed")
        self._world.jam_gate(True)
        self._perhaps_doom("before StopGate", "after StopGate")
        yield self._fault_rng.choice((500, 8_000, 20_000))
        self._world.jam_gate(False)
        yield 3_000
        yield from self.technician_looks_in()

    def technician_looks_in(self) -> Script:
        self._world.door(is_open=True)
        yield 1_000
        while (shelf := self._world.snapshot()["shelf"])["shown_mg"] is None and shelf["items"]:
            self._world.pull_out()  # more than the scale can say: without a mass the bin waits for a hand
            yield 300
        yield 500
        self._world.door(is_open=False)

    def _door(self) -> Script:
        for _ in range(self._fault_rng.randint(1, 3)):
            self._happened("door opened")
            self._perhaps_doom("before StopGate", "after StopGate")
            yield from self.technician_looks_in()
            yield self._fault_rng.randint(500, 15_000)

    def _heat(self) -> Script:
        self._happened("heat")
        self._perhaps_doom("before Answer", "after Answer")
        yield from self._simulation.heat(self._fault_rng.choice((62_000, 66_000, 90_000)))

    def _thermometer(self) -> Script:
        self._happened("temperature sensor broken")
        self.sensor_broken = True
        self._world.break_sensor(self._fault_rng.choice(("power_on", "crc", "zero", "missing")))
        yield self._fault_rng.choice((4_000, 20_000))
        self._world.break_sensor(None)
        yield 2_000
        self.sensor_broken = False

    def _scale_unplugged(self) -> Script:
        self._happened("scale unplugged")
        yield from self._unplug("scale", self._fault_rng.choice((1_000, 6_000, 15_000)))

    def _reader_unplugged(self) -> Script:
        self._happened("card reader unplugged")
        yield from self._unplug("card_reader", self._fault_rng.choice((1_000, 12_000)))

    def _unplug(self, device: str, ms: int) -> Script:
        self._unplugged.add(device)
        self._world.plug(device, present=False)
        yield ms
        self._plug_in()

    def _plug_in(self) -> None:
        """A scale zeroes itself when it gets power, so only what was out is put in again."""
        for device in sorted(self._unplugged):
            self._world.plug(device, present=True)
        self._unplugged.clear()

    def _beam_held(self) -> Script:
        self._happened("beam wire held")
        line = self._fault_rng.choice(("beam_a", "beam_b"))
        self._world.force_line(line, self._fault_rng.choice((0, 1)))
        yield self._fault_rng.choice((700, 5_000, 40_000))
        self._world.force_line(line, None)

    def _inbox_full(self) -> Script:
        for _ in range(self._fault_rng.randint(1, 3)):
            self._happened("inbox full")
            if self._simulation.controller:
                self._simulation.controller.lose_inputs()
            yield self._fault_rng.randint(1_000, 15_000)

    # --- mending ----------------------------------------------------------------------------------------------------

    def mend(self) -> None:
        """Everything that was broken is whole again."""
        world, simulation = self._world, self._simulation
        simulation.fate.spare()
        simulation.doom = None
        simulation.network.heal()
        simulation.medium.out, simulation.medium.fail_commits = False, []
        simulation.disk_stall_ms = 0
        world.power(on=True)
        world.stick_flap(False)
        world.jam_gate(False)
        for line in ("beam_a", "beam_b"):
            world.force_line(line, None)
        world.break_sensor(None)
        world.heat(21_000)
        world.upset_scale()
        for device in ("scale", "card_reader", "qr_reader"):
            world.make_noisy(device, 0)
        self._plug_in()

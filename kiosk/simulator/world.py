"""The bin as physics: what people and faults do to it, what its wires say, and the truth about every item."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from kiosk.simulator.actuators import Actuators
from kiosk.simulator.chute import Chute
from kiosk.simulator.devices_far_end import CARDS, gm861_line
from kiosk.simulator.flap import Flap
from kiosk.simulator.gate import Gate
from kiosk.simulator.items import KINDS, Kind, Orientation
from kiosk.simulator.outputs import Happened, Output, PinChanged, W1Changed
from kiosk.simulator.params import Params
from kiosk.simulator.resident import Residents, Visit
from kiosk.simulator.scale import Scale, Shown
from kiosk.simulator.serial_lines import DEVICES, CardField, SerialLines
from kiosk.simulator.snapshot import draw
from kiosk.simulator.thermometer import SensorFault, Thermometer
from kiosk.simulator.timeline import MS, Timeline
from kiosk.simulator.truth import Fall, Truth, Where
from kiosk.simulator.wiring import INPUTS, OUTPUTS, Inputs

CUT_POINTS = ("motor_on", "flap_unlocked", "fell", "tipped")
"""Events at which the power can be made to fail."""

STRING_HOLD_MS = (150, 900)
"""How long a battery on a string is left on the shelf."""


class World:
    """One bin, in integer nanoseconds of the caller's clock; same seed and same calls give the same world.

    The caller says what time it is: :meth:`advance` and :meth:`set_output` move the world to their ``now_ns``, and all
    other methods act at the time to which it was moved last. What the world does to its surroundings comes out of the
    next :meth:`advance`; :meth:`next_ns` is when to call it. Methods raise ValueError for what cannot be done.
    """

    def __init__(self, seed: int, params: Params | None = None, *, now_ns: int = 0) -> None:
        self.params = params = params or Params()
        self._timeline = timeline = Timeline(now_ns)
        self._outputs: list[Output] = []
        # One stream of chance each: more scale readings must not change what falls next.
        self._rng = Random(f"{seed}:items")
        self._string_rng = Random(f"{seed}:strings")
        self._inputs = Inputs(self._level_changed, active=("door", "flap_closed", "gate_home"))
        self._flap = Flap(
            timeline,
            self._inputs,
            open_ms=params.flap_open_ms,
            shut_ms=params.flap_shut_ms,
            on_usable=lambda: self._residents.look(),
        )
        self._residents = Residents(
            timeline,
            self._flap,
            reaction_ms=params.reaction_ms,
            patience_ms=params.patience_ms,
            pause_ms=params.pause_ms,
            open_ms=params.flap_open_ms,
        )
        self._chute = Chute(
            timeline, self._inputs, Random(f"{seed}:chute"), gap_um=params.beam_gap_um, on_cut=self._beam_cut
        )
        travel_ns = params.gate_travel_ms * MS
        self._gate = Gate(travel_ns=travel_ns, home_ns=travel_ns * params.home_window_per_mille // 1_000)
        self._actuators = Actuators(
            timeline, self._inputs, self._flap, self._gate, happened=self._happened, at_rest=self._slide
        )
        self._scale = Scale(
            Random(f"{seed}:scale"),
            settle_ns=params.scale_settle_ms * MS,
            noise_mg=params.scale_noise_mg,
            capacity_mg=params.scale_capacity_mg,
            now_ns=now_ns,
        )
        self._shown = Shown(mass_mg=0, stable=True)
        self._lines = SerialLines(timeline, self._outputs.append, Random(f"{seed}:lines"))
        self._cards = CardField(timeline, self._lines, repeat_ms=params.card_repeat_ms, tap_ms=params.tap_ms)
        self._thermometer = Thermometer(now_ns)
        self._truth = Truth()
        self._powered = True
        self._door_closed = True
        self._controller = 0
        self._cut_at: str | None = None
        timeline.after(params.scale_line_ms * MS, self._weigh)
        timeline.after(params.sensor_ms * MS, self._measure)

    # --- time and wires ---------------------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return self._timeline.now_ns

    def advance(self, now_ns: int) -> list[Output]:
        """Let time pass until ``now_ns``; everything that came out since the last call, in order."""
        self._timeline.run(now_ns)
        outputs = list(self._outputs)
        self._outputs.clear()
        return outputs

    def next_ns(self) -> int | None:
        """When :meth:`advance` will have something to do: now, if something waits to be fetched."""
        return self.now_ns if self._outputs else self._timeline.next_ns()

    def set_output(self, bcm: int, level: int, now_ns: int) -> None:
        """The controller drives a pin. Pins to which nothing is wired here, and all pins without power, do nothing."""
        self._timeline.run(now_ns)
        for name, wired in OUTPUTS.items():
            if wired == bcm and self._powered:
                self._actuators.command(name, level)

    def levels(self) -> dict[int, int]:
        """The electrical level of every input, by BCM number: what a controller reads when it starts."""
        return {bcm: self._inputs.level(line) for line, bcm in INPUTS.items()}

    def w1_text(self) -> str | None:
        """What ``w1_slave`` reads now; null: there is no such file."""
        return self._thermometer.text

    def find_controller(self) -> None:
        """A daemon has attached: it feeds the one-shot, and its outputs count."""
        self._controller += 1

    def lose_controller(self) -> None:
        """The daemon died. Its outputs stay driven until the hardware one-shot drops them."""
        self._controller += 1
        self._timeline.after(self.params.one_shot_ms * MS, self._one_shot, self._controller)

    # --- residents --------------------------------------------------------------------------------------------------

    def tap(self, card: str) -> None:
        """A card is shown for a moment. ``card``: a number of :data:`CARDS`, or ten hexadecimal digits."""
        self._cards.tap(self._uid_hex(card))

    def hold(self, card: str | None) -> None:
        """A card is left lying on the reader; null takes it away."""
        self._cards.hold(None if card is None else self._uid_hex(card))

    def scan(self, text: str) -> None:
        """A code is held before the QR engine."""
        self._lines.send("qr_reader", gm861_line(text))

    def drop(
        self,
        kind: str,
        *,
        string: bool = False,
        hurried: bool = False,
        misses_shelf: bool = False,
        orientation: Orientation | None = None,
        speed_mm_s: int | None = None,
        mass_mg: int | None = None,
    ) -> int:
        """A resident wants to throw one item in; the fall's id in the truth.

        They wait for the flap, or give up. ``string``: pulled back out through the flap, which they hold open.
        ``hurried``: right behind the one before. ``misses_shelf``: it goes through the beams and nothing arrives.
        What is not given is drawn.
        """
        mass_mg = mass_mg or self._kind(kind).draw_mass_mg(self._rng, self.params.mass_noise_per_mille)
        extent_um = KINDS[kind].draw_extent_um(self._rng, orientation)
        drawn_mm_s = self._rng.randint(self.params.speed_min_mm_s, self.params.speed_max_mm_s)
        fall = self._truth.add(kind=kind, mass_mg=mass_mg, string=string, through_beams=True, now_ns=self.now_ns)
        act = partial(
            self._release,
            fall.fall_id,
            extent_um=extent_um,
            speed_mm_s=speed_mm_s or drawn_mm_s,
            misses_shelf=misses_shelf,
        )
        self._residents.come(Visit(act=act, give_up=partial(self._give_up, fall.fall_id), hurried=hurried))
        return fall.fall_id

    def hand(self, ms: int = 1_500, *, reaches_b: bool = False) -> None:
        """A hand goes in and blocks beam A for ``ms``, and beam B for a part of that if it reaches so far."""
        act = partial(self._reach_in, ms, reaches_b)
        self._residents.come(Visit(act=act, give_up=partial(self._happened, "gave_up", fall_id=None), hurried=False))

    def ghost(self) -> None:
        """The beams see an AA fall, and nothing falls."""
        self._chute.ghost(KINDS["aa"].length_um, self.params.speed_min_mm_s)

    def place(self, kind: str) -> int:
        """Something comes onto the shelf without passing the beams; its id in the truth."""
        mass_mg = self._kind(kind).draw_mass_mg(self._rng, self.params.mass_noise_per_mille)
        fall = self._truth.add(kind=kind, mass_mg=mass_mg, string=False, through_beams=False, now_ns=self.now_ns)
        self._truth.fell(fall.fall_id, self.now_ns)
        self._land(fall.fall_id)
        return fall.fall_id

    def pull_out(self) -> int:
        """The last item on the shelf is taken: through the door if it is open, else up through both beams; its id."""
        lying = self._truth.lying("shelf")
        if not lying:
            raise ValueError("nothing lies on the shelf; drop something first")
        fall_id = lying[-1].fall_id
        if self._door_closed:
            self._pull(fall_id, "gone")
        else:
            self._move(fall_id, "gone")
        return fall_id

    def empty_store(self) -> int:
        """A technician carries away all that was stored; how many items that was."""
        stored = self._truth.lying("store")
        for fall in stored:
            self._move(fall.fall_id, "gone")
        return len(stored)

    # --- faults -----------------------------------------------------------------------------------------------------

    def door(self, *, is_open: bool) -> None:
        """The service door; its switch also breaks the supply of lock and motor."""
        self._door_closed = not is_open
        self._inputs.set("door", not is_open)
        self._supply()

    def stick_flap(self, stuck: bool = True, *, open_now: bool = False) -> None:
        """The flap's spring fails: once open it stays open. ``open_now`` wedges it open at once."""
        self._flap.stick(stuck, open_now=open_now)

    def jam_gate(self, jammed: bool = True) -> None:
        """The gate does not move, powered or not."""
        self._actuators.jam(jammed)

    def force_line(self, line: str, level: int | None) -> None:
        """Hold an input wire at an electrical level: 1 is a cut wire, 0 on a beam is a beam that stays blocked.

        Null mends it. Lines are those of :data:`~kiosk.simulator.wiring.INPUTS`.
        """
        if line not in INPUTS:
            raise ValueError(f"there is no line {line!r}; lines are {', '.join(INPUTS)}")
        self._inputs.force(line, level)

    def heat(self, milli_celsius: int, ramp_ms: int = 0) -> None:
        """The temperature goes to that value, evenly, in ``ramp_ms``."""
        self._thermometer.heat(milli_celsius, ramp_ms * MS, self.now_ns)
        self._supply()

    def break_sensor(self, fault: SensorFault | None) -> None:
        """The temperature sensor fails in that way from its next conversion on; null mends it."""
        self._thermometer.fault = fault

    def upset_scale(self, *, noise_mg: int | None = None, drift_mg_s: int = 0) -> None:
        """Noise of that standard deviation (null: the usual) and a creeping zero."""
        self._scale.noise_mg = self.params.scale_noise_mg if noise_mg is None else noise_mg
        self._scale.drift(drift_mg_s, self.now_ns)

    def noise(self, device: str, count: int) -> None:
        """That many random bytes on a serial line, now."""
        self._lines.noise(self._device(device), count)

    def make_noisy(self, device: str, per_mille: int) -> None:
        """That share of the device's frames has one wrong byte from now on."""
        self._lines.make_noisy(self._device(device), per_mille)

    def plug(self, device: str, *, present: bool) -> None:
        """A serial device is unplugged, or plugged in again; the scale then zeroes itself."""
        self._lines.plug(self._device(device), present)
        if device == "scale" and present:
            self._scale.power_on(self.now_ns)

    def power(self, *, on: bool) -> None:
        """Mains. Without it the lock locks, the motor stops and devices are silent; what falls goes on falling."""
        if on == self._powered:
            return
        self._powered = on
        self._lines.power(on)
        self._inputs.listen(on)
        if on:
            self._scale.power_on(self.now_ns)
        self._actuators.release()
        self._supply()

    def cut_power_at(self, event: str | None) -> None:
        """Mains fail at the next event of that name (:data:`CUT_POINTS`), once; ``power_cut`` is reported."""
        if event is not None and event not in CUT_POINTS:
            raise ValueError(f"power cannot be cut at {event!r}; it can at {', '.join(CUT_POINTS)}")
        self._cut_at = event

    # --- what is to be seen -----------------------------------------------------------------------------------------

    @property
    def truth(self) -> tuple[Fall, ...]:
        """Every item that anybody wanted to drop, oldest first."""
        return self._truth.falls

    def snapshot(self) -> dict[str, Any]:
        """The world as a drawing needs it; JSON-able."""
        return draw(
            now_ns=self.now_ns,
            params=self.params,
            powered=self._powered,
            door_closed=self._door_closed,
            inputs=self._inputs,
            flap=self._flap,
            chute=self._chute,
            gate=self._gate,
            shown=self._shown,
            milli_celsius=self._thermometer.milli_celsius(self.now_ns),
            card_held=self._cards.held,
            waiting=self._residents.waiting,
            truth=self._truth,
        )

    # --- what follows from what -------------------------------------------------------------------------------------

    def _happened(self, name: str, **fields: str | int | bool | None) -> None:
        self._outputs.append(Happened(name=name, t_ns=self.now_ns, fields=fields))
        if name == self._cut_at:
            self._cut_at = None
            self.power(on=False)
            self._happened("power_cut", at=name)

    def _level_changed(self, line: str, level: int) -> None:
        self._outputs.append(PinChanged(bcm=INPUTS[line], level=level, t_ns=self.now_ns))
        self._happened("edge", line=line, active=level == 0)

    def _supply(self) -> None:
        """Lock and motor get their current through the door's switch and the thermal cut-out."""
        hot = self._thermometer.milli_celsius(self.now_ns) >= self.params.thermal_cutout_mc
        self._actuators.supply(self._powered and self._door_closed and not hot)

    def _slide(self) -> None:
        """At an end stop the shelf stands so steep that nothing stays on it."""
        where: Where | None = "store" if self._gate.store else "return" if self._gate.returned else None
        if where is None:
            return
        lying = self._truth.lying("shelf")
        for fall in lying:
            self._move(fall.fall_id, where)
        if lying:
            self._happened("tipped", to=where, count=len(lying))

    def _release(self, fall_id: int, *, extent_um: int, speed_mm_s: int, misses_shelf: bool) -> None:
        fall = self._truth[fall_id]
        self._move(fall_id, "chute")
        then = self._miss if misses_shelf else self._hang if fall.string else self._arrive
        self._chute.drop(fall_id, fall.kind, extent_um, speed_mm_s, then)
        self._happened("dropped", fall_id=fall_id, kind=fall.kind, mm_s=speed_mm_s, extent_um=extent_um)
        if not fall.string:
            self._residents.let_go()

    def _beam_cut(self, fall_id: int) -> None:
        self._truth.fell(fall_id, self.now_ns)

    def _arrive(self, fall_id: int) -> None:
        self._land(fall_id)
        fall = self._truth[fall_id]
        self._happened("fell", fall_id=fall_id, kind=fall.kind, mass_mg=fall.mass_mg, where=fall.where)

    def _miss(self, fall_id: int) -> None:
        self._move(fall_id, "gone")
        fall = self._truth[fall_id]
        self._happened("fell", fall_id=fall_id, kind=fall.kind, mass_mg=fall.mass_mg, where=fall.where)

    def _hang(self, fall_id: int) -> None:
        self._arrive(fall_id)
        self._timeline.after(self._string_rng.randint(*STRING_HOLD_MS) * MS, self._pull_back, fall_id)

    def _pull_back(self, fall_id: int) -> None:
        if self._truth[fall_id].where in ("shelf", "store", "return"):
            self._pull(fall_id, "hand")
        else:
            self._residents.let_go()

    def _land(self, fall_id: int) -> None:
        self._move(fall_id, "shelf")
        self._slide()

    def _pull(self, fall_id: int, where: Where) -> None:
        self._move(fall_id, "chute")
        self._chute.pull(fall_id, self._truth[fall_id].kind, partial(self._pulled, where))
        self._happened("pulled", fall_id=fall_id, kind=self._truth[fall_id].kind)

    def _pulled(self, where: Where, fall_id: int) -> None:
        self._move(fall_id, where)
        if where == "hand":
            self._residents.let_go()

    def _reach_in(self, ms: int, reaches_b: bool) -> None:
        self._chute.block("beam_a", 0, ms)
        if reaches_b:
            self._chute.block("beam_b", ms // 4, ms // 2)
        self._happened("hand", ms=ms)
        self._timeline.after(ms * MS, self._residents.let_go)

    def _give_up(self, fall_id: int) -> None:
        self._truth.give_up(fall_id)
        self._happened("gave_up", fall_id=fall_id)

    def _move(self, fall_id: int, where: Where) -> None:
        self._truth.move(fall_id, where, self.now_ns)
        self._scale.load(sum(fall.mass_mg for fall in self._truth.lying("shelf")), self.now_ns)

    def _weigh(self) -> None:
        self._timeline.after(self.params.scale_line_ms * MS, self._weigh)
        if self._powered:
            self._shown = self._scale.read(self.now_ns)
            self._happened("weighed", mass_mg=self._shown.mass_mg, stable=self._shown.stable)
            self._lines.send("scale", self._shown.line)

    def _measure(self) -> None:
        self._timeline.after(self.params.sensor_ms * MS, self._measure)
        if self._powered and self._thermometer.convert(self.now_ns):
            self._outputs.append(W1Changed(text=self._thermometer.text))
        self._supply()

    def _one_shot(self, controller: int) -> None:
        if controller == self._controller:
            self._actuators.release()

    @staticmethod
    def _uid_hex(card: str) -> str:
        if card.isdecimal() and len(card) < 10:
            if int(card) >= len(CARDS):
                raise ValueError(f"there is no card {card}; cards are 0 to {len(CARDS) - 1}, or ten hexadecimal digits")
            return CARDS[int(card)]
        return card.upper()

    @staticmethod
    def _device(device: str) -> str:
        if device not in DEVICES:
            raise ValueError(f"there is no device {device!r}; devices are {', '.join(DEVICES)}")
        return device

    @staticmethod
    def _kind(kind: str) -> Kind:
        if kind not in KINDS:
            raise ValueError(f"there is no item {kind!r}; items are {', '.join(KINDS)}")
        return KINDS[kind]

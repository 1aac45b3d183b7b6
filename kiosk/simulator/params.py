"""How fast and how large the simulated bin is."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """The bin's mechanics and the resident's patience; the defaults are those of the reference bin (hardware facts)."""

    speed_min_mm_s: int = 1_700
    speed_max_mm_s: int = 2_400
    """Speed at beam A: a free fall of 15 to 30 cm."""
    beam_gap_um: int = 45_000
    mass_noise_per_mille: int = 20
    """Batteries of one kind differ by up to this much either way."""

    reaction_ms: int = 100
    """From the lock's click to the push."""
    patience_ms: int = 30_000
    """How long a resident stands before a locked flap."""
    pause_ms: int = 500
    """Between two items of one resident."""
    flap_open_ms: int = 120
    flap_shut_ms: int = 300
    """The spring's time, from letting go to the reed."""

    gate_travel_ms: int = 700
    """From home to either end stop."""
    home_window_per_mille: int = 100
    """The share of that travel, either side of home, in which the home switch is pressed."""

    scale_line_ms: int = 100
    scale_settle_ms: int = 800
    scale_noise_mg: int = 4
    scale_capacity_mg: int = 600_000

    card_repeat_ms: int = 65
    tap_ms: int = 400
    """How long a card that is only tapped stays in the field."""
    sensor_ms: int = 1_000
    """Between two conversions of the temperature sensor."""
    thermal_cutout_mc: int = 70_000
    """The hard-wired cut-out breaks the actuators' supply at this temperature."""
    one_shot_ms: int = 1_000
    """The hardware one-shot drops the outputs of a daemon that died this long ago."""
    store_volume_mm3: int = 20_000_000

    def at_speed(self, factor: float) -> Params:
        """The same bin with a quicker gate and scale; falls, flap and people stay as they are.

        The home switch's window widens so that it stays pressed for 60 ms: a cam that a controller can still catch.
        """
        travel_ms = max(1, round(self.gate_travel_ms / factor))
        return replace(
            self,
            gate_travel_ms=travel_ms,
            home_window_per_mille=min(400, max(self.home_window_per_mille, 30_000 // travel_ms)),
            scale_settle_ms=round(self.scale_settle_ms / factor),
        )

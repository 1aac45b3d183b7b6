"""What a tariff may hold. The same bounds where the points server reads one and where a bin is given one."""

from __future__ import annotations

from sync.records import Tariff

VERSION_MAX = 2**63 - 1
"""What the integers of both databases hold."""
POINTS_MAX = 1_000_000
"""For one piece, and for one deposit that an operator releases: far above any price that is meant."""
ITEMS_MAX = 256
NAME_CHARACTERS_MAX = 64
"""Class and item code are repeated in every deposit."""


def fault_of(tariff: Tariff) -> str | None:
    """What keeps a tariff from being used, null when nothing does."""
    if not 1 <= tariff.version <= VERSION_MAX:
        return f"version {tariff.version}: it is from 1 to {VERSION_MAX}"
    if not 1 <= len(tariff.items) <= ITEMS_MAX:
        return f"items: a tariff has at least one item and at most {ITEMS_MAX}, this one {len(tariff.items)}"
    for battery_class, item in tariff.items.items():
        if not _is_name(battery_class):
            return f"items.{battery_class[:NAME_CHARACTERS_MAX]!r}: {_NAMED}"
        if not _is_name(item.item_code):
            return f"items.{battery_class}.item_code: {_NAMED}"
        if not 0 <= item.points <= POINTS_MAX:
            return f"items.{battery_class}.points: {item.points}; they are from 0 to {POINTS_MAX}"
    return None


_NAMED = f"a name has 1 to {NAME_CHARACTERS_MAX} characters that can be printed"


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_CHARACTERS_MAX and text.isprintable()

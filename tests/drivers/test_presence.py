from __future__ import annotations

from drivers.presence import CardPresence
from drivers.readings import CardInserted, CardRead, CardRemoved

CARD = CardRead(scheme="em4100", uid_hex="67003B51C6")
OTHER = CardRead(scheme="em4100", uid_hex="67003BA867")
INSERTED = CardInserted(scheme="em4100", uid_hex="67003B51C6")
REMOVED = CardRemoved(scheme="em4100", uid_hex="67003B51C6")


def test_a_card_held_for_a_minute_is_one_card() -> None:
    presence = CardPresence(removal_ms=500)
    changes: list[CardInserted | CardRemoved] = []
    for now_ms in range(0, 60_000, 100):
        changes += presence.poll(now_ms)
        changes += presence.seen(CARD, now_ms)
    assert changes == [INSERTED]
    assert presence.poll(59_900 + 499) == []
    assert presence.poll(59_900 + 500) == [REMOVED]
    assert presence.poll(120_000) == []


def test_a_card_that_comes_back_after_silence_is_inserted_again_even_if_nobody_polled() -> None:
    presence = CardPresence(removal_ms=500)
    presence.seen(CARD, 0)
    assert presence.seen(CARD, 2_000) == [REMOVED, INSERTED]


def test_another_card_ends_the_one_before() -> None:
    presence = CardPresence(removal_ms=500)
    presence.seen(CARD, 0)
    assert presence.seen(OTHER, 100) == [REMOVED, CardInserted(scheme="em4100", uid_hex="67003BA867")]


def test_without_a_card_nothing_is_removed() -> None:
    presence = CardPresence(removal_ms=500)
    assert presence.poll(10_000) == []
    assert presence.flush() == []

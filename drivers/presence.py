"""One card from a reader that repeats it: inserted once, removed once."""

from __future__ import annotations

from drivers.readings import CardInserted, CardRead, CardRemoved


class CardPresence:
    """Tells a held card from a card presented again.

    ``removal_ms``: how long the reader must be silent before the card counts as gone; an RDM6300 wants 500, some
    modules repeat faster. Times are milliseconds of any one monotonic clock.
    """

    def __init__(self, removal_ms: int) -> None:
        self._removal_ms = removal_ms
        self._card: CardRead | None = None
        self._seen_ms = 0

    def seen(self, card: CardRead, now_ms: int) -> list[CardInserted | CardRemoved]:
        """A good frame arrived. Another card than the present one ends the present one first."""
        changes: list[CardInserted | CardRemoved] = [*self.poll(now_ms)]
        if self._card is not None and self._card != card:
            changes += self.flush()
        if self._card is None:
            changes.append(CardInserted(scheme=card.scheme, uid_hex=card.uid_hex))
        self._card = card
        self._seen_ms = now_ms
        return changes

    def poll(self, now_ms: int) -> list[CardRemoved]:
        """Time passed: the card that has been silent for ``removal_ms``, once."""
        return self.flush() if now_ms - self._seen_ms >= self._removal_ms else []

    def flush(self) -> list[CardRemoved]:
        """The reader is gone, or its input ended: a present card is no longer known to be there."""
        card, self._card = self._card, None
        return [] if card is None else [CardRemoved(scheme=card.scheme, uid_hex=card.uid_hex)]

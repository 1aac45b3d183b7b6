from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from kiosk.screen.server import Screen


@dataclass(slots=True)
class Pressed:
    """What the page's two buttons did."""

    done: int = 0
    languages: list[str] = field(default_factory=list)

    def on_done(self) -> None:
        self.done += 1

    def on_language(self, language: str) -> None:
        self.languages.append(language)


def serve(pressed: Pressed) -> Iterator[Screen]:
    screen = Screen("127.0.0.1", 0, on_done=pressed.on_done, on_language=pressed.on_language)
    screen.start()
    yield screen
    screen.close()


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A server of the test's own: it publishes, or closes."""
    yield from serve(Pressed())


@pytest.fixture(scope="session")
def shared() -> Iterator[tuple[Screen, Pressed]]:
    pressed = Pressed()
    for screen in serve(pressed):
        yield screen, pressed


@pytest.fixture
def pressed(shared: tuple[Screen, Pressed]) -> Pressed:
    """What was pressed on ``asked`` in this test."""
    shared[1].done = 0
    shared[1].languages.clear()
    return shared[1]


@pytest.fixture
def asked(shared: tuple[Screen, Pressed]) -> Screen:
    """One server for all tests that only ask: each stop costs uvicorn two ticks."""
    return shared[0]

"""The processes that the demo starts, and ends by their own ids."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

LAST_LINES = 12
END_S = 2.0
"""A child that has not ended this long after SIGTERM is killed."""


class ChildDied(RuntimeError):
    """A process ended that should not have; the message holds the last lines of its log."""


class Child:
    """One process with its log file. ``on_death(message)`` is called when it ends without having been told to."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, on_death: Callable[[str], None]) -> None:
        self.name = name
        self._argv = argv
        self._log = log
        self._on_death = on_death
        self._process: asyncio.subprocess.Process | None = None
        self._expected = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """In a session of its own: Ctrl-C reaches the parent only, which ends its children in its own way."""
        self._expected = False
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._watching = asyncio.create_task(self._watch(self._process))

    async def kill(self) -> None:
        """SIGKILL: what a power cut is to a process."""
        await self._end(lambda process: process.kill())

    async def end(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        await self._end(lambda process: process.terminate())

    def last_lines(self) -> str:
        """The end of its log, indented."""
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        return "\n".join(f"    {line}" for line in lines[-LAST_LINES:]) or "    (it said nothing)"

    async def ready(self, path: Path, within_s: float) -> None:
        """Wait until it has made ``path``. Raises :class:`ChildDied` when it ends or takes too long."""
        await self.until(path.exists, within_s)

    async def until(self, is_ready: Callable[[], bool], within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not is_ready():
            if not self.alive or time.monotonic() > deadline:
                fate = "was not ready in time" if self.alive else "ended"
                raise ChildDied(f"the {self.name} {fate}; its last lines:\n{self.last_lines()}")
            await asyncio.sleep(0.01)

    async def _end(self, signal: Callable[[asyncio.subprocess.Process], None]) -> None:
        self._expected = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal(process)
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if not self._expected:
            self._on_death(
                f"the {self.name} ended unexpectedly (exit code {code}); its last lines:\n{self.last_lines()}"
            )


async def run(argv: Sequence[str]) -> str:
    """A command that ends by itself: what it printed. Raises :class:`ChildDied` when it failed."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise ChildDied(f"{' '.join(argv[1:])} failed:\n{(out + err).decode(errors='replace')}")
    return out.decode()

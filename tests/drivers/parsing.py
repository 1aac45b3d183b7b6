"""What every parser's tests share: the published vectors, and the ways of feeding them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Protocol

from drivers.readings import Corrupt

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "published.json").read_text("utf-8"))


class Parser(Protocol):
    def receive(self, data: bytes) -> list[Any]: ...
    def flush(self) -> list[Any]: ...


def vectors(device: str) -> list[Any]:
    return [vector for vector in VECTORS if vector["device"] == device]


def name(vector: Any) -> str:
    return f"{vector['kind']}-{vector['raw_hex'][:24]}"


def fed(parser: Parser, *chunks: bytes) -> list[Any]:
    """All readings, the end of input being a flush."""
    return [reading for chunk in chunks for reading in parser.receive(chunk)] + parser.flush()


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[position : position + 1] for position in range(len(data))]


def good(readings: list[Any]) -> list[Any]:
    return [reading for reading in readings if not isinstance(reading, Corrupt)]


def reasons(readings: list[Any]) -> list[str]:
    return [reading.reason for reading in readings if isinstance(reading, Corrupt)]


def mutated(frame: bytes, size: int, seed: int) -> list[bytes]:
    """About ``size`` bytes of that frame, badly damaged, in chunks of any length."""
    rng = random.Random(seed)
    stream = bytearray()
    while len(stream) < size:
        piece = bytearray(frame)
        for _ in range(rng.randrange(4)):
            position = rng.randrange(len(piece))
            match rng.randrange(4):
                case 0:
                    piece[position] = rng.randrange(256)
                case 1:
                    del piece[position]
                case 2:
                    piece[position:position] = rng.randbytes(rng.randrange(40))
                case _:
                    del piece[position:]
            if not piece:
                break
        stream += piece
    chunks = []
    while stream:
        cut = rng.randrange(1, 50)
        chunks.append(bytes(stream[:cut]))
        del stream[:cut]
    return chunks

"""The CLI's socket answers several at once, keeps strangers out, and never dies of a wrong question."""

import contextlib
import errno
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kiosk.control_socket import CLIENTS_MAX, ControlSocket, NotRunning, ask
from tests.kiosk.rig import wait_for


def answer(request: dict[str, Any]) -> dict[str, Any]:
    if request.get("do") == "echo":
        return {"said": request["what"]}
    raise ValueError("no such question")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "control.sock"
    path.touch()  # a dead daemon's
    control = ControlSocket(path, answer)
    control.start()
    yield path
    control.close()


def test_a_question_is_answered_while_another_client_says_nothing(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(path))
        assert ask(path, {"do": "echo", "what": "电池"}) == {"said": "电池"}


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b"{}\n", b'{"do": "?"}\n'])
def test_a_wrong_question_gets_an_error_and_the_next_one_an_answer(path: Path, line: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        with client.makefile("rwb") as stream:
            stream.write(line)
            stream.flush()
            assert b'"error"' in stream.readline()
            stream.write(b'{"do": "echo", "what": 1}\n')
            stream.flush()
            assert stream.readline() == b'{"said":1}\n'


def test_more_silent_clients_than_there_are_seats_do_not_shut_a_technician_out_for_good(path: Path) -> None:
    crowd = [socket.socket(socket.AF_UNIX) for _ in range(CLIENTS_MAX + 5)]
    for client in crowd:
        client.settimeout(0.2)  # the last ones are not even let into the queue, as the case may be
        with contextlib.suppress(BlockingIOError, TimeoutError):
            client.connect(str(path))
    for client in crowd:
        client.close()

    def let_in() -> bool:
        try:
            return ask(path, {"do": "echo", "what": "in"}) == {"said": "in"}
        except NotRunning:
            return False

    wait_for(let_in, "a seat")


def test_running_out_of_descriptors_ends_only_the_connection_that_met_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.socket.accept
    failures = iter([OSError(errno.EMFILE, "too many open files")])

    def accept(listener: socket.socket) -> Any:
        for failure in failures:
            raise failure
        return real(listener)

    monkeypatch.setattr(socket.socket, "accept", accept)
    assert ask(path, {"do": "echo", "what": 1}) == {"said": 1}, "taken by the accept that was waiting already"
    assert ask(path, {"do": "echo", "what": 2}) == {"said": 2}, "taken after the failure"


def test_only_owner_and_group_may_open_it(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_without_a_daemon_the_question_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotRunning, match="no daemon answers"):
        ask(tmp_path / "control.sock", {"do": "echo"})


def test_a_daemon_that_hangs_up_counts_as_not_running(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        with pytest.raises(NotRunning):
            ask(path, {"do": "echo"})
        thread.join()

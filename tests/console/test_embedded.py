"""Failures of the engine's process become a sentence and a status, and no guest on its loop can end it."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

import pytest

from console.embedded import parse, serve
from console.process import drive
from engine.errors import ConfigurationError, QuarterdeckError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_guest_that_asks_to_exit_is_logged_and_the_loop_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def guest() -> None:
        sys.exit("no")

    async def host() -> int:
        task = asyncio.create_task(guest())
        await asyncio.wait({task})
        assert isinstance(task.exception(), SystemExit)
        await asyncio.sleep(0)
        return 7

    with caplog.at_level(logging.ERROR):
        assert drive(host()) == 7
    assert "it goes on" in caplog.text


def test_the_host_itself_may_exit() -> None:
    async def host() -> int:
        sys.exit(5)

    with pytest.raises(SystemExit) as ended:
        drive(host())
    assert ended.value.code == 5


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigurationError("Key `colour` is unknown."), "error Key `colour` is unknown.\n"),
        (ImportError("no module"), "error Quarterdeck could not go on (ImportError: no module). The log has"),
    ],
)
def test_a_failure_before_the_start_is_said_to_the_launcher(
    tmp_path: Path, error: Exception, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    def factories() -> NoReturn:
        raise error

    ours, theirs = socket.socketpair()
    with ours:
        assert serve(tmp_path, theirs.detach(), factories) == 1
        heard = ours.recv(4096).decode()
    assert heard.startswith(said)
    assert heard.endswith("exit 1\n")
    assert "Traceback" in caplog.text
    assert isinstance(error, QuarterdeckError) or "Traceback" not in heard


def test_the_launchers_arguments_are_understood(tmp_path: Path) -> None:
    options = parse(["--home", str(tmp_path), "--launcher", "7", "--scene", "market-5hz"])
    assert (options.home, options.launcher, options.scene) == (tmp_path, 7, "market-5hz")

"""A terminal is opened for ourselves and given back as it was found."""

from __future__ import annotations

import os
import pty
import termios
import tty
from typing import TYPE_CHECKING

import pytest

from console.terminal import Terminal, window_size

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    far, near = pty.openpty()
    yield far, near
    os.close(far)
    os.close(near)


def test_raw_mode_is_undone_by_close(ends: tuple[int, int]) -> None:
    _, near = ends
    before = termios.tcgetattr(near)
    terminal = Terminal(near)
    terminal.raw()
    flags = termios.tcgetattr(near)[tty.LFLAG]
    assert not flags & (termios.ECHO | termios.ICANON | termios.ISIG)
    terminal.close()
    terminal.close()
    assert termios.tcgetattr(near) == before


def test_our_description_is_apart_from_the_inherited_one(ends: tuple[int, int]) -> None:
    _, near = ends
    terminal = Terminal(near)
    assert terminal.own
    assert os.get_blocking(near)
    assert not os.get_inheritable(terminal.fd)
    terminal.close()


def test_where_the_terminal_may_not_be_opened_the_inherited_one_is_used_and_its_flag_put_back(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, near = ends

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError("another user's terminal")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        terminal = Terminal(near)
    assert not terminal.own
    assert not os.get_blocking(near)
    terminal.close()
    assert os.get_blocking(near)


def test_the_size_is_the_terminals_own_and_never_the_environments(
    ends: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    far, near = ends
    monkeypatch.setenv("COLUMNS", "1")
    termios.tcsetwinsize(far, (33, 101))
    assert window_size(near) == (101, 33)
    termios.tcsetwinsize(far, (0, 0))
    assert window_size(near) == (80, 24)

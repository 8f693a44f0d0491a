"""What is said of a key's permissions: warned of what is too much or too little, silent about what is not said."""

from __future__ import annotations

from engine.execution.permissions import DAY_NS, warnings_of
from engine.model.venue import Permissions

NOW = 1_790_000_000_000_000_000


def said(**more: object) -> tuple[str, ...]:
    fields: dict[str, object] = {"read": True, "trade": True, "withdraw": False} | more
    return warnings_of("OKX", Permissions(**fields), NOW)  # type: ignore[arg-type]


def test_a_key_that_is_as_it_should_be_is_not_talked_about() -> None:
    assert said(ip_restricted=True, expires=NOW + 90 * DAY_NS) == ()


def test_what_a_venue_does_not_say_is_no_reason_to_warn() -> None:
    assert said(trade=None, withdraw=None, ip_restricted=None, expires=None) == ()


def test_withdrawal_is_to_be_taken_away() -> None:
    (words,) = said(withdraw=True)
    assert "take that permission away at OKX" in words


def test_too_little_is_told_too() -> None:
    assert [words.partition(":")[0].partition(";")[0] for words in said(read=False, trade=False)] == [
        "The key may not read the account",
        "The key may not trade",
    ]


def test_an_end_that_is_near_and_a_key_for_everybody_are_told() -> None:
    address, end = said(ip_restricted=False, expires=NOW + 3 * DAY_NS)
    assert "bind it" in address
    assert "ends in 3 days" in end
    assert "has ended" in said(expires=NOW - 1)[0]


def test_a_clock_that_is_off_is_told() -> None:
    permissions = Permissions(read=True, trade=True, withdraw=False)
    assert "900 ms off" in warnings_of("OKX", permissions, NOW, -900.0)[0]

"""Routes by tables: price after fees first, then speed and reliability, never more than depth and money allow."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValidationError
from engine.execution.router import Candidate, Route, RouteSettings, route
from engine.model.ids import AccountId
from engine.model.order import OrderSide
from engine.venues.markets.listing import spot_instrument

BUY, SELL = OrderSide.BUY, OrderSide.SELL
Levels = list[tuple[D, D]]


def levels(*pairs: tuple[str, str]) -> Levels:
    return [(D(price), D(quantity)) for price, quantity in pairs]


def at(name: str, book: Levels, *, fee: str = "0", free: str = "1e9", least: str = "0", **more: Any) -> Candidate:
    known = spot_instrument(
        name.upper(), "BTC/USDT", price_places=2, quantity_places=3, min_notional=D(least), fee=D(fee)
    )
    return Candidate(account=AccountId(name), instrument=known, levels=book, fee=D(fee), free=D(free), **more)


def split(found: Route) -> dict[str, D]:
    return {leg.account: leg.quantity for leg in found.legs}


ONE, TWO = levels(("100", "1"), ("101", "5")), levels(("100.5", "2"), ("102", "5"))


@pytest.mark.parametrize(
    ("quantity", "first", "second", "expected", "unrouted"),
    [
        ("1", {}, {}, {"a": "1"}, "0"),
        ("2", {}, {}, {"a": "1", "b": "1"}, "0"),
        ("4", {}, {}, {"a": "2", "b": "2"}, "0"),
        ("13", {}, {}, {"a": "6", "b": "7"}, "0"),
        ("14", {}, {}, {"a": "6", "b": "7"}, "1"),
        # fees turn the order of the prices round: 100 x 1.01 is dearer than 100.5
        ("2", {"fee": "0.01"}, {}, {"b": "2"}, "0"),
        # money ends before depth does
        ("4", {"free": "100"}, {}, {"a": "1", "b": "3"}, "0"),
        ("4", {"free": "100"}, {"free": "201"}, {"a": "1", "b": "2"}, "1"),
        # half a second costs 50 bps x 2 here
        ("1", {"latency_ms": D(500)}, {}, {"b": "1"}, "0"),
        ("1", {"latency_ms": D(200)}, {}, {"a": "1"}, "0"),
        ("2", {"reliability": D("0.899")}, {}, {"b": "2"}, "0"),
        ("2", {"reliability": D("0.9")}, {}, {"b": "2"}, "0"),
        ("1", {"reliability": D("0.99")}, {}, {"a": "1"}, "0"),
        ("2", {"obstacle": "it is away"}, {}, {"b": "2"}, "0"),
        # a part below the minimum goes to the other
        ("2.5", {}, {"least": "200"}, {"a": "2.5"}, "0"),
        ("3", {}, {"least": "200"}, {"a": "1", "b": "2"}, "0"),
    ],
)
def test_a_purchase_takes_the_best_levels(
    quantity: str, first: dict[str, Any], second: dict[str, Any], expected: dict[str, str], unrouted: str
) -> None:
    rules = RouteSettings(latency_bps=D(20), failure_bps=D(1000))
    found = route(BUY, D(quantity), [at("a", ONE, **first), at("b", TWO, **second)], rules)
    assert split(found) == {name: D(part) for name, part in expected.items()}
    assert found.unrouted == D(unrouted)
    assert {*split(found)} | {one.account for one in found.passed_over} == {"a", "b"}


def test_a_sale_takes_the_highest_bids_up_to_the_units_that_are_there() -> None:
    bids = at("a", levels(("99", "1"), ("98", "5")), free="1.5"), at("b", levels(("98.5", "2")), free="10")
    found = route(SELL, D(4), bids)
    assert split(found) == {"a": D("1.5"), "b": D(2)}
    assert found.unrouted == D("0.5")
    (b, a) = found.legs
    assert (b.account, b.price, b.worst) == ("b", D("98.5"), D("98.5"))
    assert a.price == (D(99) + D(98) / 2) / D("1.5")


def test_the_price_after_fees_holds_all_legs() -> None:
    found = route(BUY, D(2), [at("a", ONE, fee="0.001"), at("b", TWO)])
    assert split(found) == {"a": D(1), "b": D(1)}
    assert found.price_after_fees(BUY) == (D("100.1") + D("100.5")) / 2
    assert route(BUY, D(1), [at("a", ONE, obstacle="away")]).price_after_fees(BUY) is None


def test_reasons_say_why_an_account_gets_nothing() -> None:
    found = route(
        BUY, D(1),
        [at("a", ONE), at("b", [], ), at("c", ONE, free="0"), at("d", ONE, reliability=D("0.5")), at("e", TWO)],
    )  # fmt: skip
    reasons = {one.account: one.reason for one in found.passed_over}
    assert reasons == {
        "b": "its book is empty",
        "c": "nothing is free in it",
        "d": "only 50 % of its last requests succeeded, at least 90 % must",
        "e": "the others are better after fees",
    }


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValidationError, match="above 0"):
        route(BUY, D(0), [at("a", ONE)])
    other = spot_instrument("B", "ETH/USDT", price_places=2, quantity_places=3, min_notional=D(0), fee=D(0))
    strange = Candidate(account=AccountId("b"), instrument=other, levels=ONE, fee=D(0), free=D(1))
    with pytest.raises(ValidationError, match="one base"):
        route(BUY, D(1), [at("a", ONE), strange])


_book = st.lists(
    st.tuples(st.integers(9_000, 11_000), st.integers(1, 5_000)), min_size=1, max_size=8, unique_by=lambda p: p[0]
)


@given(st.lists(_book, min_size=1, max_size=4), st.integers(1, 20_000), st.sampled_from([BUY, SELL]), st.data())
def test_no_route_exceeds_depth_money_or_the_order(
    books: list[list[tuple[int, int]]], quantity: int, side: OrderSide, data: st.DataObject
) -> None:
    candidates = []
    for number, book in enumerate(books):
        ordered = sorted(book, reverse=side is SELL)
        free = data.draw(st.integers(0, 2_000))
        fee = data.draw(st.sampled_from(["0", "0.001", "0.0026"]))
        pairs = [(D(price) / 100, D(there) / 1000) for price, there in ordered]
        candidates.append(at(f"v{number}", pairs, fee=fee, free=str(free)))
    wanted = D(quantity) / 1000
    found = route(side, wanted, candidates)
    assert found.quantity + found.unrouted == wanted
    for leg in found.legs:
        candidate = next(c for c in candidates if c.account == leg.account)
        assert leg.quantity == leg.instrument.floor_quantity(leg.quantity) > 0
        needed = leg.quantity * leg.price + leg.fee if side is BUY else leg.quantity
        assert needed <= candidate.free + D("1e-20")
        assert leg.quantity <= sum(there for _, there in candidate.levels) + D("0.001")

"""Money goes to cheap and liquid venues, within limits; conversions take the cheapest way; hedges keep exposure."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from engine import events as ev
from engine.capital.currencies import exposures, hedges
from engine.capital.distribution import VenueFigures, distribute
from engine.capital.routes import MarketFigures, cheapest_route
from engine.model.capital_settings import CapitalManagementSettings, CurrencySettings
from engine.model.ids import AccountId, Currency, VenueId
from tests.capital.bank import Bank
from tests.risk.house import BTC, ETH, ETHBTC, INSTRUMENTS, PAPER, PERP, USDT


def venue(name: str, value: str, **more: Any) -> VenueFigures:
    given = {"spread_bps": 10.0, "fee_bps": 20.0, "slippage_bps": 20.0, "reliability": 1.0, **more}
    return VenueFigures(
        venue=VenueId(name), account=AccountId(name.lower()), currency=USDT, rate=D(1), value=D(value),
        movable=D(value), **given,
    )  # fmt: skip


def targets(*venues: VenueFigures, **settings: Any) -> list[float]:
    found = distribute(list(venues), CapitalManagementSettings(**settings))
    return [share.target for share in found.shares]


@pytest.mark.parametrize(
    "worse", [{"spread_bps": 30.0}, {"fee_bps": 60.0}, {"slippage_bps": 60.0}, {"reliability": 0.5}]
)
def test_the_better_venue_gets_more(worse: dict[str, float]) -> None:
    good, bad = targets(venue("A", "5000"), venue("B", "5000", **worse))
    assert good > 0.5 > bad
    assert good + bad == pytest.approx(1)


def test_no_venue_gets_more_than_60_percent_and_none_less_than_100() -> None:
    best = {"spread_bps": 0.0, "fee_bps": 0.0, "slippage_bps": 0.0}
    worst = {"spread_bps": 1e6, "fee_bps": 1e6, "slippage_bps": 1e6, "reliability": 0.0}
    found = targets(venue("A", "1000", **best), venue("B", "1000", **worst), venue("C", "0", **worst))
    assert found[0] == pytest.approx(0.6)
    assert min(found) >= 100 / 2000


def test_fixed_and_proportional_modes() -> None:
    three = venue("BINANCE", "7000"), venue("OKX", "2000"), venue("COINBASE", "1000")
    assert targets(*three, distribution={"mode": "fixed"}) == pytest.approx([0.5, 0.3, 0.2])
    assert targets(*three, distribution={"mode": "proportional"}) == pytest.approx([0.6, 0.8 / 3, 0.4 / 3])


def test_a_venue_that_cannot_be_reached_loses_its_share() -> None:
    found = distribute(
        [venue("A", "5000"), venue("B", "5000", usable=False), venue("C", "5000")], CapitalManagementSettings()
    )
    assert [share.target for share in found.shares] == pytest.approx([0.5, 0, 0.5])
    assert found.shares[1].notes


@pytest.mark.parametrize(("value", "moves"), [("5499", False), ("5500", True)])
def test_transfers_are_planned_from_a_deviation_of_5_percent(value: str, moves: bool) -> None:
    rest = str(10_000 - int(value))
    found = distribute([venue("A", value), venue("B", rest)], CapitalManagementSettings())
    assert bool(found.transfers) is moves
    if moves:
        assert (found.transfers[0].source, found.transfers[0].amount) == ("a", D(500))


def test_at_most_a_fifth_of_capital_moves_at_once() -> None:
    found = distribute([venue("A", "10000"), venue("B", "0")], CapitalManagementSettings())
    assert [idea.amount for idea in found.transfers] == [D(2000)]


def test_too_little_money_uses_fewer_venues() -> None:
    found = distribute(
        [venue("A", "100"), venue("B", "50"), venue("C", "20", fee_bps=90.0)], CapitalManagementSettings()
    )
    assert sum(share.target > 0 for share in found.shares) == 1
    assert found.notes


BOOKS = {BTC: ("49990", "50010"), ETH: ("2490", "2510"), ETHBTC: ("0.04999", "0.05001")}


def markets(fee: str = "0.001", size: str = "1000") -> list[MarketFigures]:
    known = {one.id: one for one in INSTRUMENTS}
    return [
        MarketFigures(instrument=known[key], bids=((D(bid), D(size)),), asks=((D(ask), D(size)),), fee=D(fee))
        for key, (bid, ask) in BOOKS.items()
    ]


def test_two_cheap_markets_beat_a_dear_one() -> None:
    route = cheapest_route(USDT, Currency("ETH"), D(10_000), markets(fee="0"))
    assert route is not None
    # Over BTC: 2 and 2 hundredths of a percent; straight: 40.
    assert [leg.instrument for leg in route.legs] == [BTC, ETHBTC]
    dear = cheapest_route(USDT, Currency("ETH"), D(10_000), markets(fee="0.01"))
    assert dear is not None
    assert [leg.instrument for leg in dear.legs] == [ETH]
    assert dear.cost == pytest.approx(1 - 2500 / 2510 * 0.99)
    assert cheapest_route(USDT, Currency("ETH"), D(10_000), markets(size="0.001")) is None


def exposed(bank: Bank, **settings: Any) -> Any:
    figures = CurrencySettings(**settings)
    rates = bank.figures.rates
    rows = exposures(bank.state, rates, [PAPER], USDT, bank.figures.metrics().total, figures)
    return rows, hedges(bank.state, rows, bank.mark, USDT, figures)


@pytest.mark.parametrize(("btc", "plans"), [("0.022", False), ("0.023", True)])
def test_exposure_is_hedged_from_ten_percent_on(btc: str, plans: bool) -> None:
    bank = Bank()
    bank.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D(btc)))
    rows, planned = exposed(bank)
    assert rows[0].currency == USDT
    assert bool(planned) is plans
    if plans:
        assert planned[0].instrument == PERP
        assert planned[0].quantity == D("0.018")
        assert not exposed(bank, hedging=False)[1]


def test_a_hedge_counts_so_that_it_is_not_planned_twice() -> None:
    bank = Bank()
    bank.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D("0.1")))
    _, [hedge] = exposed(bank)
    assert hedge.covers == D("0.08")
    bank.ledger.record(
        ev.PositionAdopted(account=PAPER, instrument=PERP, quantity=-hedge.quantity, price=D(50_000), ts=1, reason="x")
    )
    rows, planned = exposed(bank)
    btc = next(row for row in rows if row.currency == "BTC")
    assert (btc.units, planned) == (D("0.02"), [])


def test_what_bots_hold_is_theirs_unless_the_settings_say_otherwise() -> None:
    from engine.model.order import OrderSide
    from tests.risk.house import BOT

    bank = Bank()
    bank.execute(BOT, OrderSide.BUY, D(50_000), D("0.03"))
    assert not exposed(bank)[1]
    [hedge] = exposed(bank, positions_of_bots=True)[1]
    assert hedge.quantity == D("0.024")


def test_limits_of_exposure_are_told() -> None:
    bank = Bank()
    bank.ledger.record(ev.Deposited(account=PAPER, currency=Currency("BTC"), amount=D("0.1")))
    rows, _ = exposed(bank, max_exposure={"BTC": D("0.2")}, supported=("USDT",))
    btc = next(row for row in rows if row.currency == "BTC")
    assert (btc.limit, btc.supported) == (0.2, False)

"""Derivatives in the fold: average entry prices, funding by owner, forced closings, positions that are taken over."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import StateConsistencyError
from engine.model.account import Account, TradingMode
from engine.model.decimals import exact
from engine.model.fill import Fill, FillCause
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner, TradeId, VenueId, VenueOrderId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.margin import UNLEVERED, MarginMode, MarginSetting
from engine.model.order import Decision, Liquidity, OrderSide, OrderType
from engine.model.shares import apportion
from engine.state import EXTERNAL, EngineState
from engine.state.soundness import flaws
from tests.kit.histories import histories
from tests.state.test_fold import RELAXED, replay

ACCOUNT, USDT = AccountId("paper"), Currency("USDT")
PERPETUAL = Instrument(
    id=InstrumentId("SIM:BTC/USDT:USDT"),
    venue=VenueId("SIM"),
    symbol="BTC/USDT:USDT",
    kind=InstrumentKind.LINEAR_PERPETUAL,
    base=Currency("BTC"),
    quote=USDT,
    settle=USDT,
    rules=(InstrumentRules(valid_from=0, price_tick=D("0.1"), lot=D(1)),),
    multiplier=D("0.001"),
)


class House:
    """A state with one account, one perpetual and orders of several owners."""

    def __init__(self) -> None:
        self.state = EngineState()
        self.trades = 0
        account = Account(id=ACCOUNT, venue=VenueId("SIM"), mode=TradingMode.PAPER, base_currency=USDT)
        self.book(ev.AccountOpened(account=account))
        self.book(ev.InstrumentDefined(instrument=PERPETUAL))
        self.book(ev.Deposited(account=ACCOUNT, currency=USDT, amount=D(10_000)))

    def book(self, event: ev.Event) -> None:
        self.state.apply(ev.Record(self.state.seq + 1, self.state.seq + 1, 0, event))

    def trade(self, owner: str, contracts: int, price: str, *, ts: int = 0) -> None:
        """An execution of an owner's own order; positive buys."""
        self.trades += 1
        client_id = ClientOrderId(f"o{self.trades}")
        side = OrderSide.BUY if contracts > 0 else OrderSide.SELL
        self.book(
            ev.OrderIntended(
                client_id=client_id, account=ACCOUNT, instrument=PERPETUAL.id, owner=Owner(owner), side=side,
                type=OrderType.MARKET, quantity=D(abs(contracts)), reserve_currency=USDT, reserve_unit=D(0),
                decision=Decision(reason="test"),
            )
        )  # fmt: skip
        self.book(ev.OrderSubmitted(client_id=client_id))
        self.book(ev.OrderAccepted(client_id=client_id, venue_order_id=VenueOrderId(client_id), ts=ts))
        self.book(ev.OrderFilled(fill=self.fill(client_id, contracts, price, ts=ts)))

    def fill(
        self, client_id: str, contracts: int, price: str, *, ts: int = 0, fee: str = "0", cause: FillCause | None = None
    ) -> Fill:
        self.trades += 1
        return Fill(
            venue=VenueId("SIM"), account=ACCOUNT, instrument=PERPETUAL.id, trade_id=TradeId(f"t{self.trades}"),
            venue_order_id=VenueOrderId(client_id), client_id=ClientOrderId(client_id),
            side=OrderSide.BUY if contracts > 0 else OrderSide.SELL, price=D(price), quantity=D(abs(contracts)),
            fee=D(fee), fee_currency=USDT, liquidity=Liquidity.TAKER, ts=ts, cause=cause or FillCause.TRADE,
        )  # fmt: skip

    def forced(self, contracts: int, price: str, *, fee: str = "0", cause: FillCause = FillCause.LIQUIDATION) -> None:
        self.book(ev.ExternalFillSeen(fill=self.fill("", contracts, price, fee=fee, cause=cause)))

    def owned(self) -> dict[str, D]:
        return {owner: part.quantity for (owner, _, _), part in self.state.owned.items() if part.lots}

    @property
    def money(self) -> D:
        return self.state.balance(ACCOUNT, USDT).total


@pytest.fixture
def house() -> House:
    return House()


def test_a_derivative_is_closed_at_its_average_entry_price_as_venues_do(house: House) -> None:
    house.trade("a", 1000, "100")
    house.trade("a", 1000, "200")
    house.trade("a", -1000, "150")
    assert house.money == D(10_000)
    position = house.state.positions[ACCOUNT, PERPETUAL.id]
    assert position.average_price() == D(150)
    house.trade("a", -1000, "160")
    assert house.money == D(10_010)
    assert position.realised == D(10)
    assert not position.lots


def test_an_average_that_has_no_end_loses_nothing(house: House) -> None:
    house.trade("a", 1, "100")
    house.trade("a", 2, "100.1")
    house.trade("a", -3, "100")
    assert house.money == D(10_000) - D("0.0002")


def test_a_position_that_turns_begins_anew_at_the_price_at_which_it_turned(house: House) -> None:
    house.trade("a", 1000, "100")
    house.trade("a", -3000, "110")
    assert house.money == D(10_010)
    assert house.state.positions[ACCOUNT, PERPETUAL.id].average_price() == D(110)


def test_funding_is_borne_as_told_and_booked_once(house: House) -> None:
    house.trade("a", 3, "100")
    house.trade("b", 1, "100")
    paid = ev.FundingPaid(
        account=ACCOUNT, instrument=PERPETUAL.id, owner=Owner("a"), currency=USDT, amount=D("0.4"), rate=None, ts=9,
        payment="p1", parts=(ev.FundingPart(Owner("b"), D("0.1")),),
    )  # fmt: skip
    house.book(paid)
    house.book(paid)
    assert house.money == D("9999.6")
    funding = {owner: part.funding for (owner, _, _), part in house.state.owned.items()}
    assert funding == {"a": D("0.3"), "b": D("0.1")}
    assert house.state.positions[ACCOUNT, PERPETUAL.id].funding == D("0.4")
    assert house.state.owner_sums[Owner("b"), USDT].funding == D("0.1")
    assert flaws(house.state) == []


def test_what_was_held_at_a_time_is_known_until_funding_is_paid_for_it(house: House) -> None:
    house.trade("a", 3, "100", ts=10)
    house.trade("b", 2, "100", ts=20)
    house.trade("a", -1, "100", ts=30)
    assert house.state.owned_at(ACCOUNT, PERPETUAL.id, 9) == {}
    assert house.state.owned_at(ACCOUNT, PERPETUAL.id, 15) == {"a": D(3)}
    assert house.state.owned_at(ACCOUNT, PERPETUAL.id, 20) == {"a": D(3), "b": D(2)}
    assert house.state.owned_at(ACCOUNT, PERPETUAL.id, 99) == {"a": D(2), "b": D(2)}
    house.book(
        ev.FundingPaid(
            account=ACCOUNT, instrument=PERPETUAL.id, owner=Owner("a"), currency=USDT, amount=D(1), rate=None, ts=25,
            payment="p",
        )
    )  # fmt: skip
    assert [moved.ts for moved in house.state.moved[ACCOUNT, PERPETUAL.id]] == [30]


def test_margin_is_what_was_set_last_and_the_default_is_kept_nowhere(house: House) -> None:
    key = (ACCOUNT, PERPETUAL.id)
    assert house.state.margin(*key) == UNLEVERED
    house.book(ev.MarginSet(account=ACCOUNT, instrument=PERPETUAL.id, leverage=D(5), mode=MarginMode.CROSS))
    assert house.state.margin(*key) == MarginSetting(D(5), MarginMode.CROSS)
    house.book(ev.MarginSet(account=ACCOUNT, instrument=PERPETUAL.id, leverage=D(1), mode=MarginMode.ISOLATED))
    assert house.state.margins == {}


def test_what_is_found_at_the_venue_leaves_what_is_wanted_as_it_is(house: House) -> None:
    key = (ACCOUNT, PERPETUAL.id)

    def book(leverage: int, mode: MarginMode, *, adopted: bool) -> None:
        house.book(ev.MarginSet(account=key[0], instrument=key[1], leverage=D(leverage), mode=mode, adopted=adopted))

    book(20, MarginMode.CROSS, adopted=True)
    assert (house.state.margin(*key), house.state.wanted_margin(*key)) == (
        MarginSetting(D(20), MarginMode.CROSS),
        UNLEVERED,
    )
    book(3, MarginMode.CROSS, adopted=False)
    assert house.state.margin(*key) == house.state.wanted_margin(*key) == MarginSetting(D(3), MarginMode.CROSS)
    book(1, MarginMode.ISOLATED, adopted=True)
    assert house.state.margin(*key) == UNLEVERED
    again = EngineState.from_sections(house.state.sections())
    assert again.wanted_margin(*key) == MarginSetting(D(3), MarginMode.CROSS)
    book(3, MarginMode.CROSS, adopted=True)
    assert house.state.wishes == {}


def test_a_forced_closing_takes_from_all_owners_in_proportion(house: House) -> None:
    house.trade("a", 6, "100")
    house.trade("b", 3, "100")
    house.forced(-6, "90", fee="0.03")
    assert house.owned() == {"a": D(2), "b": D(1)}
    assert house.state.owner_sums[Owner("a"), USDT].fees == D("0.02")
    assert house.state.owner_sums[Owner("b"), USDT].fees == D("0.01")
    assert flaws(house.state) == []


def test_a_forced_closing_of_everything_ends_opposite_parts_too(house: House) -> None:
    house.trade("a", 6, "100")
    house.trade("b", -2, "100")
    house.forced(-4, "90", cause=FillCause.DELEVERAGING)
    assert house.owned() == {}
    assert house.money == D(10_000) - D("0.04")


def test_what_is_closed_beyond_the_books_is_nobodys(house: House) -> None:
    house.trade("a", 2, "100")
    house.forced(-5, "90")
    assert house.owned() == {EXTERNAL: D(-3)}
    assert house.state.positions[ACCOUNT, PERPETUAL.id].quantity == D(-3)


def test_an_ordinary_execution_of_somebody_else_is_nobodys(house: House) -> None:
    house.trade("a", 2, "100")
    house.forced(-1, "90", cause=FillCause.TRADE)
    assert house.owned() == {"a": D(2), EXTERNAL: D(-1)}


def test_an_adopted_position_is_nobodys_and_changes_no_equity(house: House) -> None:
    house.book(
        ev.PositionAdopted(
            account=ACCOUNT, instrument=PERPETUAL.id, quantity=D(-7), price=D(100), ts=1, reason="it is there"
        )
    )
    assert house.owned() == {EXTERNAL: D(-7)}
    assert house.money == D(10_000)
    house.book(
        ev.PositionAdopted(account=ACCOUNT, instrument=PERPETUAL.id, quantity=D(7), price=D(90), ts=2, reason="gone")
    )
    assert house.money == D("10000.07")
    assert flaws(house.state) == []


def test_only_a_known_derivative_is_adopted(house: House) -> None:
    adopted = ev.PositionAdopted(
        account=ACCOUNT, instrument=InstrumentId("SIM:X/Y"), quantity=D(1), price=D(1), ts=1, reason=""
    )
    with pytest.raises(StateConsistencyError, match="not known"):
        house.book(adopted)


@RELAXED
@given(histories())
def test_profit_of_owners_and_of_the_account_is_the_same_at_any_mark(records: list[ev.Record]) -> None:
    state = replay(records)
    mark = D("43210.1")
    with exact():
        for (account, key), whole in state.positions.items():
            instrument = state.instruments[key]
            if instrument.kind is not InstrumentKind.LINEAR_PERPETUAL:
                continue
            parts = [p for (_, a, k), p in state.owned.items() if (a, k) == (account, key)]
            made = sum(p.realised + p.unrealised(mark, instrument.multiplier) - p.fees for p in parts)
            assert made == whole.realised + whole.unrealised(mark, instrument.multiplier) - whole.fees


@given(
    st.decimals(min_value=-1000, max_value=1000, places=8),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-50, 50), min_size=1),
    st.sampled_from(["0.01", "1", "0.00000001"]),
)
def test_shares_add_up_to_exactly_what_is_split(amount: D, weights: dict[str, int], unit: str) -> None:
    if not sum(weights.values()):
        weights["z"] = 1 - sum(weights.values())
    parts = apportion(amount, {k: D(v) for k, v in weights.items()}, D(unit))
    with exact():
        assert sum(parts.values(), D(0)) == amount
    assert set(parts) <= {k for k, v in weights.items() if v}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(-50, 50), min_size=1), st.data())
def test_no_part_is_larger_than_its_weight(weights: dict[str, int], data: st.DataObject) -> None:
    total = sum(weights.values())
    if not total:
        return
    amount = data.draw(st.integers(min(-total, 0), max(-total, 0)))
    parts = apportion(D(amount), {k: D(v) for k, v in weights.items()}, D(1))
    for name, part in parts.items():
        assert abs(part) <= abs(weights[name])
        assert part * weights[name] * amount * total >= 0

"""Real money is deliberate: consent by name, arming for a time and an amount, and a way out that asks for neither."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.control.live.admission import require_armed
from engine.control.live.arming import Armed, Arming
from engine.control.live.consent import Consents, target_of
from engine.control.live.gate import ConsentedKeys, ReadOnlyVenue, refusal
from engine.control.live.least import least_quantity
from engine.control.live.stages import Stage, stage_of
from engine.control.venue_check.report import CheckReport, CheckResult, Outcome, write_report
from engine.errors import AuthenticationError, AuthorizationError, NotFoundError, ValidationError
from engine.model.account import TradingMode
from engine.model.credentials import Credentials
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, VenueId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import MarginMode, OrderCommand, VenueStatus
from engine.venue_settings import VenueSettings
from tests.control.house import Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MARKET, WORDS = "SIM:BTC/USDT", "SIM/paper"
MAIN = AccountId("test-binance")


def venue(**more: Any) -> VenueSettings:
    return VenueSettings(name="binance", kind="binance", mode="live", **more)


# --- arming ----------------------------------------------------------------------------------------------------------


def armed(clock: SimulatedClock, **more: Any) -> Armed:
    fields: dict[str, Any] = {
        "connection": "c1",
        "actor": "console",
        "venue": VenueId("BINANCE"),
        "account": MAIN,
        "until": clock.now() + 60 * 10**9,
        "currency": Currency("USDT"),
        "max_order": D(100),
        "max_total": D(150),
    }
    return Armed(**{**fields, **more})


async def test_an_arming_ends_with_its_time_its_amount_and_its_connection() -> None:
    clock = SimulatedClock()
    arming = Arming(clock)
    with pytest.raises(AuthorizationError, match="not armed"), arming.spending("c1", MAIN, D(1)):
        pass
    arming.arm(armed(clock))
    with pytest.raises(AuthorizationError, match="one order may"), arming.spending("c1", MAIN, D("100.01")):
        pass
    with arming.spending("c1", MAIN, D(100)):
        pass
    with pytest.raises(AuthorizationError, match=r"50\.00 is left"), arming.spending("c1", MAIN, D(51)):
        pass
    with pytest.raises(AuthorizationError, match="not armed"), arming.spending("c2", MAIN, D(1)):
        pass
    with pytest.raises(AuthorizationError, match="not armed"), arming.spending("c1", AccountId("other"), D(1)):
        pass
    with pytest.raises(AuthorizationError, match="not known"), arming.spending("c1", MAIN, None):
        pass
    arming.disarm("c2")
    assert len(arming.standing()) == 1
    await clock.advance(60)
    assert arming.standing() == []
    with pytest.raises(AuthorizationError) as refused, arming.spending("c1", MAIN, D(1)):
        pass
    assert refused.value.error_code == "not_armed"


def test_what_is_refused_uses_nothing_up() -> None:
    clock = SimulatedClock()
    arming = Arming(clock)
    arming.arm(armed(clock))
    with pytest.raises(RuntimeError), arming.spending("c1", MAIN, D(100)):
        raise RuntimeError("the gate says no")
    assert arming.standing()[0].used == 0


@pytest.mark.parametrize("more", [{"max_order": D(0)}, {"max_total": D(99)}, {"until": 0}])
def test_an_arming_that_makes_no_sense_is_refused(more: dict[str, Any]) -> None:
    clock = SimulatedClock()
    arming = Arming(clock)
    with pytest.raises(ValidationError):
        arming.arm(armed(clock, **more))
    assert arming.standing() == []


# --- consent ---------------------------------------------------------------------------------------------------------


def test_consent_is_given_by_name_and_bound_to_where_orders_go(tmp_path: Path) -> None:
    consents, testnet = Consents(tmp_path), venue()
    assert not consents.holds(testnet, MAIN)
    with pytest.raises(ValidationError, match="BINANCE/test-binance"):
        consents.give(testnet, MAIN, "binance", "console", 1)
    consents.give(testnet, MAIN, "BINANCE/test-binance", "console", 1)
    assert Consents(tmp_path).holds(testnet, MAIN)
    assert not consents.holds(testnet, AccountId("test-other"))
    assert not consents.holds(venue(testnet=False), MAIN)
    assert not consents.holds(venue(addresses={"rest": "https://elsewhere.example"}), MAIN)
    assert consents.withdraw(testnet.id, MAIN)
    assert not consents.withdraw(testnet.id, MAIN)
    assert not consents.holds(testnet, MAIN)


def test_what_cannot_be_read_is_no_consent(tmp_path: Path) -> None:
    (tmp_path / "live.json").write_text("[{")
    assert not Consents(tmp_path).holds(venue(), MAIN)


def test_real_money_is_closed_until_a_check_has_passed_and_testnets_and_this_machine_are_open(tmp_path: Path) -> None:
    assert refusal(tmp_path, venue()) == ""
    assert refusal(tmp_path, venue(testnet=False, addresses={"rest": "https://127.0.0.1:8443"})) == ""
    real = venue(testnet=False)
    for closed in (
        real,
        venue(testnet=False, addresses={"rest": "https://api.binance.example"}),
        venue(addresses={"rest": "https://api.binance.example"}),
        venue(testnet=False, addresses={"public": "ws://127.0.0.1:9"}),
    ):
        assert "`quarterdeck venue check binance`" in refusal(tmp_path, closed)
    assert target_of(venue()) == "binance testnet"
    write_report(tmp_path, checked(real, traded=False))
    assert refusal(tmp_path, real) == ""


# --- through the doors -----------------------------------------------------------------------------------------------


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    # What a paper account holds is less than a trend follower needs with real money.
    async with deck(tmp_path, capital_management__minimums__trend_following=1000) as found:
        account = found.engine.state.accounts[found.engine.account]
        found.engine.ledger.record(ev.AccountOpened(account=msgspec.structs.replace(account, mode=TradingMode.LIVE)))
        yield found


SELLS = {"instrument": MARKET, "side": "sell", "type": "market", "quantity": "0.001"}
ORDER = {"instrument": MARKET, "side": "buy", "type": "market", "quantity": "0.001"}


async def test_a_live_order_needs_an_armed_console_and_its_way_out_does_not(on: Deck) -> None:
    with pytest.raises(AuthorizationError, match="not armed") as refused:
        await on.call("orders.place", **ORDER)
    assert refused.value.error_code == "not_armed"
    assert not on.engine.state.orders
    with pytest.raises(ValidationError, match=WORDS):
        await on.call("live.arm", account="paper", typed="paper")
    (row,) = (await on.call("live.arm", account="paper", typed=WORDS, max_order=500, max_total=800)).armed
    assert (row.mine, row.max_order, row.used) == (True, D(500), D(0))
    await on.call("orders.place", **ORDER)
    (row,) = (await on.call("live.status")).armed
    assert 10 < row.used < 500
    with pytest.raises(AuthorizationError, match="one order may"):
        await on.call("orders.place", **{**ORDER, "quantity": "0.05"})
    await eventually(lambda: on.engine.state.positions and not on.engine.state.orders)
    await on.call("live.disarm")
    with pytest.raises(AuthorizationError):
        await on.call("orders.place", **ORDER)
    await on.call("portfolio.close", owner="manual", instrument=MARKET)
    await on.call("orders.cancel_all")
    await on.call("risk.emergency_stop", reason="a test")


async def test_one_order_can_be_confirmed_by_name(on: Deck) -> None:
    with pytest.raises(AuthorizationError, match=WORDS):
        await on.call("orders.place", **ORDER, live="paper")
    await on.call("orders.place", **ORDER, live=WORDS)
    with pytest.raises(AuthorizationError, match=r"live\.max_order"):
        await on.call("orders.place", **{**ORDER, "quantity": "0.05"}, live=WORDS)


async def test_a_change_and_a_bot_can_be_confirmed_by_name(on: Deck) -> None:
    await on.call("bots.create", name="one", strategy="trend_following", instrument=MARKET, mode="live")
    for typed, words in (("", "not armed"), ("paper", WORDS)):
        with pytest.raises(AuthorizationError, match=words):
            await on.call("bots.start", bot="one", live=typed)
    assert (await on.call("bots.start", bot="one", live=WORDS)).state != "created"
    price = on.engine.hub.market(InstrumentId(MARKET)).instrument.round_price(D(60000))
    order = await on.call("orders.place", **{**ORDER, "type": "limit", "price": price}, live=WORDS)
    await eventually(lambda: on.engine.state.orders[order.client_id].status is OrderStatus.ACCEPTED)
    with pytest.raises(AuthorizationError, match=WORDS):
        await on.call("orders.replace", client_id=order.client_id, quantity="0.0012", live="paper")
    await on.call("orders.replace", client_id=order.client_id, quantity="0.0012", live=WORDS)


async def test_a_bot_gets_more_real_money_only_from_an_armed_console(on: Deck) -> None:
    base: dict[str, Any] = {
        "name": "one", "strategy": "trend_following", "instrument": MARKET, "mode": "live", "capital": "1500",
        "risk": {"max_position_size_pct": "0.05", "max_daily_loss_pct": "0.02"},
    }  # fmt: skip
    with pytest.raises(AuthorizationError, match="not armed"):
        await on.call("bots.create", **base, autostart=True, auto_resume=True)
    await on.call("bots.create", **base)
    # It has to be started by a person, who is asked then.
    await on.call("bots.configure", bot="one", **{**base, "capital": "1600"})
    for more in ({"autostart": True}, {"auto_resume": True}):
        with pytest.raises(AuthorizationError, match="not armed") as refused:
            await on.call("bots.configure", bot="one", **{**base, **more})
        assert refused.value.error_code == "not_armed"
    await on.call("bots.configure", bot="one", **base)
    await on.call("bots.start", bot="one", live=WORDS)
    wider: tuple[dict[str, Any], ...] = (
        {"capital": "1500.01"},
        {"params": {"fast_period": 11}},
        {"risk": {"max_position_size_pct": "0.051", "max_daily_loss_pct": "0.02"}},
        {"risk": {"max_position_size_pct": "0.05"}},
        {"execution": {"algorithm": "chase"}},
        {"auto_resume": True},
    )
    for more in wider:
        with pytest.raises(AuthorizationError, match="not armed"):
            await on.call("bots.configure", bot="one", **{**base, **more})
        with pytest.raises(AuthorizationError, match=WORDS):
            await on.call("bots.configure", bot="one", **{**base, **more}, live="paper")
    assert on.engine.bots.config(on.engine.bots.find("one")).capital == 1500
    stricter = {"max_position_size_pct": "0.04", "max_daily_loss_pct": "0.02"}
    await on.call("bots.configure", bot="one", **{**base, "capital": "1400", "risk": stricter, "auto_resume": False})
    await on.call("bots.configure", bot="one", **base, live=WORDS)
    assert on.engine.bots.config(on.engine.bots.find("one")).capital == 1500


async def test_a_file_is_no_way_around_the_arming_of_a_bot(on: Deck, tmp_path: Path) -> None:
    base = {"name": "one", "strategy": "trend_following", "instrument": MARKET, "mode": "live"}
    await on.call("bots.create", **base, autostart=True, auto_resume=True, live=WORDS)
    file = str(tmp_path / "one.json")
    await on.call("bots.export", bot="one", file=file)
    with pytest.raises(AuthorizationError, match="not armed"):
        await on.call("bots.import", file=file, name="two")
    await on.call("bots.configure", bot="one", **base)
    with pytest.raises(AuthorizationError, match="not armed"):
        await on.call("bots.import", file=file, into="one")
    assert (await on.call("bots.import", file=file, into="one", live=WORDS)).autostart


TWAP = {"instrument": MARKET, "algorithm": "twap", "quantity": "0.001", "duration_s": 600}


async def test_a_parent_that_passes_unasked_never_does_more_than_reduce(on: Deck) -> None:
    with pytest.raises(AuthorizationError, match="not armed"):
        await on.call("algos.start", **TWAP, side="buy")
    await on.market(quantity="0.001", live=WORDS)
    row = await on.call("algos.start", **TWAP, side="sell")
    other = await on.call("algos.start", **TWAP, side="sell")
    parents = on.engine.state.parents
    assert all(parents[name].reduce_only for name in (row.id, other.id))
    for refused in ({**TWAP, "side": "sell", "quantity": "0.002"}, {**TWAP, "side": "buy", "algorithm": "bracket"}):
        with pytest.raises(AuthorizationError, match="not armed"):
            await on.call("algos.start", **refused, stop_price="100")


async def test_deposited_coins_are_sold_from_an_armed_console_only(on: Deck) -> None:
    coins = ev.Deposited(account=on.engine.account, currency=Currency("BTC"), amount=D("0.002"))
    on.engine.ledger.record(coins)
    for side, name in ((SELLS, "orders.place"), ({**TWAP, "side": "sell"}, "algos.start")):
        with pytest.raises(AuthorizationError, match="not armed"):
            await on.call(name, **side)
    await on.market(quantity="0.001", live=WORDS)
    row = await on.call("orders.place", **SELLS)
    assert row.reduce_only
    await on.reaches(row, OrderStatus.FILLED)
    with pytest.raises(AuthorizationError, match="not armed"):
        await on.call("orders.place", **SELLS)


async def test_a_parent_goes_on_and_goes_faster_from_an_armed_console_only(on: Deck) -> None:
    row = await on.call("algos.start", **TWAP, side="buy", live=WORDS)
    await on.call("algos.pause", id=row.id)
    await on.call("algos.accelerate", id=row.id, factor="0.5")
    for name, more in (("algos.resume", {}), ("algos.accelerate", {"factor": "1.5"})):
        with pytest.raises(AuthorizationError, match="not armed"):
            await on.call(name, id=row.id, **more)
        with pytest.raises(AuthorizationError, match=WORDS):
            await on.call(name, id=row.id, **more, live="paper")
    await on.call("algos.accelerate", id=row.id, factor="1.5", live=WORDS)
    await on.call("live.arm", account="paper", typed=WORDS)
    await on.call("algos.resume", id=row.id)
    assert (await on.call("live.status")).armed[0].used == 0, "what it is worth was held against the arming before"
    await on.call("live.disarm")
    await on.call("algos.pause", id=row.id)
    await on.call("algos.cancel", id=row.id)


async def test_another_connection_is_not_armed_along(on: Deck) -> None:
    await on.call("live.arm", account="paper", typed=WORDS)
    with pytest.raises(AuthorizationError):
        await on.host.service.call("orders.place", ORDER, request_id="r1", connection="c7")  # type: ignore[union-attr]


async def test_a_change_that_makes_an_order_larger_is_held_against_the_arming(on: Deck) -> None:
    market = on.engine.hub.market(InstrumentId(MARKET))
    assert market.book.best_bid is not None
    price = market.instrument.round_price(market.instrument.price_from_int(market.book.best_bid) * D("0.96"))
    order = await on.call("orders.place", **{**ORDER, "type": "limit", "price": price}, live=WORDS)
    await eventually(lambda: on.engine.state.orders[order.client_id].status is OrderStatus.ACCEPTED)
    for change in ({"quantity": "0.0012"}, {"price": price + 1}, {"price": price - 1}):
        with pytest.raises(AuthorizationError, match="not armed"):
            await on.call("orders.replace", client_id=order.client_id, **change)
    await on.call("orders.replace", client_id=order.client_id, quantity="0.0009")


async def test_loosening_risk_needs_an_armed_console_and_tightening_does_not(on: Deck) -> None:
    await on.call("risk.halt", reason="a look")
    await on.call("risk.set_limits", limits={"max_total_positions": 4, "position_size_pct": "0.01"})
    loose: list[tuple[str, dict[str, Any]]] = [
        ("risk.resume", {"reason": "looked"}),
        ("risk.set_limits", {"limits": {"max_total_positions": 5}}),
        ("risk.set_limits", {"limits": {"max_total_positions": 3, "allow_short": True}}),
        ("risk.set_limits", {"limits": {"position_size_method": "volatility_adjusted"}}),
        ("risk.reset_breaker", {"breaker": "daily_loss", "reason": "accepted", "force": True}),
    ]
    for name, asked in loose:
        for typed in ("", "paper"):
            with pytest.raises(AuthorizationError, match=WORDS) as refused:
                await on.call(name, **asked, live=typed)
            assert refused.value.error_code == "not_armed"
    assert on.engine.risk.limits().max_total_positions == 4
    await on.call("risk.set_limits", limits={"max_total_positions": 5}, live=WORDS)
    await on.call("live.arm", account="paper", typed=WORDS)
    await on.call("risk.resume", reason="looked")
    await on.call("risk.set_limits", limits={"allow_short": True})
    await on.call("live.disarm")
    await on.call("risk.set_limits", limits={"allow_short": False})


async def test_an_exchange_without_a_testnet_is_opened_step_by_step(on: Deck) -> None:
    context = on.host.service.context  # type: ignore[union-attr]
    settings = VenueSettings(name="sim", kind="coinbase", mode="live", testnet=False)
    context.settings = context.settings.model_copy(update={"venues": {"sim": settings}})
    await on.call("live.arm", account="paper", typed=WORDS, max_order=5000, max_total=50_000)
    least = least_quantity(on.engine.state.instruments[InstrumentId(MARKET)], D(50_000))
    assert stage_of(on.host.home, settings) is Stage.READ_ONLY
    with pytest.raises(AuthorizationError, match="venue check sim`") as refused:
        await on.call("orders.place", **{**ORDER, "quantity": least})
    assert refused.value.error_code == "unchecked"

    write_report(on.host.home, checked(settings, traded=False, outcome=Outcome.FAILED))
    assert stage_of(on.host.home, settings) is Stage.READ_ONLY
    write_report(on.host.home, checked(settings, traded=False))
    assert stage_of(on.host.home, settings) is Stage.LEAST
    with pytest.raises(AuthorizationError, match=r"--trade` has passed, one order") as refused:
        await on.call("orders.place", **{**ORDER, "quantity": "0.01"})
    assert refused.value.error_code == "unchecked"
    with pytest.raises(AuthorizationError, match="--trade"):
        require_armed(context, on.engine.account)
    await on.call("orders.place", **{**ORDER, "quantity": least})

    write_report(on.host.home, checked(settings, traded=True))
    assert stage_of(on.host.home, settings) is Stage.OPEN
    moved = settings.model_copy(update={"addresses": {"rest": "https://elsewhere.example"}})
    assert stage_of(on.host.home, moved) is Stage.READ_ONLY
    await on.call("orders.place", **{**ORDER, "quantity": "0.01"})


def test_orders_tried_on_the_testnet_and_an_account_that_was_read_open_the_exchange_itself(tmp_path: Path) -> None:
    real = venue(testnet=False)
    assert stage_of(tmp_path, venue()) is Stage.OPEN
    assert stage_of(tmp_path, real) is Stage.READ_ONLY
    write_report(tmp_path, checked(venue(), traded=True))
    assert stage_of(tmp_path, real) is Stage.READ_ONLY
    write_report(tmp_path, checked(real, traded=False))
    assert stage_of(tmp_path, real) is Stage.OPEN
    # What is said of the testnet says nothing of an address of one's own.
    moved = real.model_copy(update={"addresses": {"rest": "https://elsewhere.example"}})
    write_report(tmp_path, checked(moved, traded=False))
    assert stage_of(tmp_path, moved) is Stage.LEAST


def test_an_exchange_whose_account_alone_was_read_takes_orders_of_the_least_size(tmp_path: Path) -> None:
    real = venue(testnet=False)
    write_report(tmp_path, checked(real, traded=False))
    assert stage_of(tmp_path, real) is Stage.LEAST
    write_report(tmp_path, checked(real, traded=True))
    assert stage_of(tmp_path, real) is Stage.OPEN


def test_a_testnet_that_nobody_can_tell_opens_nothing(tmp_path: Path) -> None:
    some = VenueSettings(name="kraken", kind="ccxt", exchange="kraken", mode="live", testnet=False)
    assert stage_of(tmp_path, some) is Stage.READ_ONLY
    write_report(tmp_path, checked(some.model_copy(update={"testnet": True}), traded=True))
    write_report(tmp_path, checked(some, traded=False))
    assert stage_of(tmp_path, some) is Stage.LEAST
    here = {"rest": "https://127.0.0.1:8443"}
    assert stage_of(tmp_path, some.model_copy(update={"addresses": here})) is Stage.OPEN


def checked(settings: VenueSettings, *, traded: bool, outcome: Outcome = Outcome.PASSED) -> CheckReport:
    check = CheckResult(name="online", about="It is online", outcome=outcome, words="It is.", ms=1.0)
    return CheckReport(
        release="1",
        venue=settings.id,
        adapter=settings.kind,
        target=target_of(settings),
        instrument=InstrumentId(MARKET),
        begun=1,
        ended=2,
        private=True,
        traded=traded,
        checks=(check,),
    )


async def test_an_account_on_paper_cannot_be_armed(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        with pytest.raises(NotFoundError, match="is not live"):
            await on.call("live.arm", account="paper", typed=WORDS)
        assert (await on.call("live.status")).accounts == ()
        await on.call("orders.place", **ORDER)


# --- at the venue ----------------------------------------------------------------------------------------------------


async def test_a_venue_that_is_read_only_takes_no_order_and_answers_everything_else(on: Deck) -> None:
    closed = ReadOnlyVenue(on.engine.venue, "Not yet.")
    account, instrument = on.engine.account, InstrumentId(MARKET)
    command = OrderCommand(
        client_id=ClientOrderId("q1"),
        account=account,
        instrument=instrument,
        side=OrderSide.BUY,
        type=OrderType.MARKET,
        quantity=D(1),
    )
    for refused in (
        closed.place(command),
        closed.amend(account, ClientOrderId("q1"), price=D(1)),
        closed.set_margin(account, instrument, D(2), MarginMode.CROSS),
    ):
        with pytest.raises(ValidationError, match="Not yet"):
            await refused
    assert await closed.balances(account)
    assert closed.status is VenueStatus.ONLINE


def test_keys_are_given_to_nobody_without_consent(tmp_path: Path) -> None:
    class Held:
        def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
            return Credentials(key="k", secret="s")

    settings = venue()
    keys = ConsentedKeys(Held(), tmp_path, settings)
    with pytest.raises(AuthenticationError, match="quarterdeck --live"):
        keys.credentials(settings.id, MAIN)
    Consents(tmp_path).give(settings, MAIN, "BINANCE/test-binance", "console", 1)
    assert keys.credentials(settings.id, MAIN) is not None
    # What is connected stays so; the next start asks anew.
    Consents(tmp_path).withdraw(settings.id, MAIN)
    assert keys.credentials(settings.id, MAIN) is not None
    with pytest.raises(AuthenticationError):
        ConsentedKeys(Held(), tmp_path, settings).credentials(settings.id, MAIN)

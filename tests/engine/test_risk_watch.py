"""Risk as a running engine measures it: over the doors, in the journal, after a restart, and when something fails."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine import risk_watch
from engine.errors import ExchangeConnectionError, NotFoundError, ValidationError
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.risk_settings import LEAST_DAYS
from engine.pulse import Pulse
from storage.journal import Query
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from engine.model.candle import Candle

DAY = 86_400_000_000_000
INSTRUMENT = InstrumentId(BTC)
DAYS, BARS = 40, 60


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(risk_watch, "REST_S", 0.0)


@asynccontextmanager
async def engine(home: Path, **settings: Any) -> AsyncIterator[Deck]:
    """An engine that measures when it is told to, with a past that is quickly drawn."""
    quiet = {
        "metrics__interval_s": 3600, "metrics__history_days": DAYS, "adaptive__history_bars": BARS,
        "adaptive__volatility_bars": 10,
    }  # fmt: skip
    async with deck(home, **{**quiet, **settings}) as found:
        yield found


async def test_what_is_held_is_measured_over_every_door_and_kept(tmp_path: Path) -> None:
    async with engine(tmp_path) as on:
        before = await on.call("risk.metrics")
        assert [row.var_1d for row in before.methods] == [0, 0, 0]
        await on.market("buy", "0.01")
        unknown = await on.call("risk.metrics")
        assert unknown.missing == (BTC,)
        assert [row.var_1d for row in unknown.methods] == [None, None, None]
        await on.engine.risk_watch.learn()
        found = await on.call("risk.metrics")
        assert (found.days, found.covered, found.missing) == (40, 1.0, ())
        historical = found.methods[0]
        assert historical.method == "historical"
        assert 0 < historical.var_1d_pct <= historical.es_1d_pct < 1
        assert historical.var_1d == (found.equity * D(repr(historical.var_1d_pct))).quantize(D("0.01"))
        assert found.level in ("low", "medium", "high", "critical")
        assert found.largest == 1.0
        await on.engine.journal.wait_durable(on.engine.ledger.seq)
        points = await on.call("risk.metrics_history", hours=1)
        # Measured three times within a minute, kept once.
        assert len(points) == 1
        heard, watcher = on.watch("risk.metrics")
        await eventually(lambda: bool(heard))
        watcher.close()
        assert heard[0].data.days == 40


async def test_correlations_of_daily_returns_reach_the_risk_department(tmp_path: Path) -> None:
    async with engine(tmp_path) as on:
        correlations = on.engine.risk.correlations
        assert correlations is not None
        assert correlations.between(INSTRUMENT, InstrumentId("SIM:ETH/USDT")) is None
        await on.engine.risk_watch.learn()
        known = correlations.between(INSTRUMENT, InstrumentId("SIM:ETH/USDT"))
        assert known is not None
        assert -1 <= known <= 1


async def test_regimes_are_journalled_shown_and_adapt_sizes(tmp_path: Path) -> None:
    async with engine(tmp_path, risk__risk_mode="dynamic") as on:
        await on.engine.risk_watch.learn()
        await on.engine.journal.wait_durable(on.engine.ledger.seq)
        assert on.host.context is not None
        assert on.host.context.reader is not None
        facts = await on.host.context.reader.latest(100, Query(kinds=("RegimeChanged",)))
        assert {record.event.kind for record in facts if isinstance(record.event, ev.RegimeChanged)} == {
            "volatility", "trend",
        }  # fmt: skip
        shown = await on.call("risk.regimes")
        assert shown.mode == "dynamic"
        row = next(row for row in shown.regimes if row.scope == BTC)
        assert row.volatility in ("low", "medium", "high")
        assert row.fresh
        size = next(row for row in shown.adapted if row.name == "size" and row.scope == BTC)
        assert size.base == D("0.02")
        factor = {"low": D("1.2"), "medium": D(1), "high": D("0.6")}[row.volatility]
        assert size.value == size.base * factor
        assert on.engine.risk.adaptation.size_factor(INSTRUMENT) == factor
        await on.engine.risk_watch.measure_once()
        adapted = on.engine.state.adapted.get(("size", BTC))
        assert (adapted is None) is (factor == 1)


async def test_an_ai_mode_without_a_model_says_so(tmp_path: Path) -> None:
    async with engine(tmp_path, risk__risk_mode="ai") as on:
        assert (await on.call("risk.regimes")).words == "no model: static"


async def test_a_stress_test_is_made_on_demand_and_one_is_kept_every_day(tmp_path: Path) -> None:
    async with engine(tmp_path) as on:
        with pytest.raises(NotFoundError, match="No stress test has been kept yet"):
            await on.call("risk.stress", last=True)
        await on.market("buy", "0.01")
        await on.engine.risk_watch.learn()
        asked = await on.call("risk.stress")
        drops = {row.name: row for row in asked.scenarios}
        value = await on.call("risk.metrics")
        assert float(drops["prices_down_10"].loss) == pytest.approx(float(value.exposure) * 0.1, rel=0.01)
        assert not on.engine.state.stress_tests
        await on.engine.risk_watch._stress_daily()
        await on.engine.risk_watch._stress_daily()
        assert len(on.engine.state.stress_tests) == 1
        kept = await on.call("risk.stress", last=True)
        assert (kept.cause, len(kept.scenarios)) == ("daily", len(asked.scenarios))


async def test_deposits_are_no_returns_and_the_values_of_days_survive_a_restart(tmp_path: Path) -> None:
    async with engine(tmp_path, metrics__record_s=1) as on:
        await on.engine.risk_watch.measure_once()
        (day,) = on.engine.state.equity_days
        first = on.engine.state.equity_days[day]
        assert first.moved is not None
        started = first.moved
        on.engine.ledger.record(ev.Deposited(account=AccountId("paper"), currency=Currency("USDT"), amount=D(500)))
        on.engine.risk_watch._recorded = 0
        await on.engine.risk_watch.measure_once()
        entry = on.engine.state.equity_days[day]
        assert entry.moved == started + 500
        assert on.engine.risk_watch.metrics is not None
        assert on.engine.risk_watch.metrics.max_drawdown is None
    async with engine(tmp_path) as on:
        assert on.engine.state.equity_days[day].moved == started + 500


async def test_what_a_venue_cannot_tell_is_shown_and_asked_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with engine(tmp_path, risk__risk_mode="dynamic") as on:
        await on.market("buy", "0.01")
        guard, asked = on.engine.default.guard, [0]

        async def away(instrument: InstrumentId, timeframe: str, *, limit: int = 0, **_: Any) -> Sequence[Candle]:
            # Charts and bars of the market ask as well, for other numbers of candles.
            asked[0] += limit in (DAYS + 1, BARS + 11)
            if timeframe == "1d":
                raise ValidationError("There are no candles of 1d.")
            raise ExchangeConnectionError("SIM is away.")

        monkeypatch.setattr(guard, "candles", away)
        await on.engine.risk_watch.learn()
        first = asked[0]
        await on.engine.risk_watch.learn()
        assert asked[0] == first > 0
        shown = await on.call("risk.regimes")
        row = next(row for row in shown.regimes if row.scope == BTC)
        assert (row.volatility, row.fresh) == ("", False)
        assert "SIM is away" in row.reading
        assert on.engine.risk.adaptation.size_factor(INSTRUMENT) == 1
        metrics = await on.call("risk.metrics")
        assert metrics.missing == (BTC,)
        # Nothing better is to be had: the day's stress test is made all the same, and says what it could not tell.
        await on.engine.risk_watch._stress_daily()
        kept = await on.call("risk.stress", last=True)
        assert next(row for row in kept.scenarios if row.name == "volatility").loss is None


async def test_a_measurement_that_fails_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    async with engine(tmp_path) as on:
        watch = on.engine.risk_watch

        async def broken() -> None:
            raise ZeroDivisionError("no")

        await watch._step("measure risk", broken())
        await watch._step("measure risk", broken())
        assert watch.problem == "no"
        told = [notice for notice in on.engine.errors.notices if "could not measure risk" in notice.text]
        assert len(told) == 1
        await watch.measure_once()
        assert watch.problem == ""
    assert LEAST_DAYS == 30


async def test_a_new_day_is_asked_for_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine(tmp_path) as on:
        # What breakers want of the past is known from the first beat on.
        Pulse(on.engine).beat(on.engine.clock.now())
        await on.engine.risk_watch.learn()
        limits: list[tuple[str, int]] = []
        real = on.engine.default.guard.candles

        async def counted(instrument: InstrumentId, timeframe: str, *, limit: int = 500, **more: Any) -> Any:
            limits.append((timeframe, limit))
            return await real(instrument, timeframe, limit=limit, **more)

        monkeypatch.setattr(on.engine.default.guard, "candles", counted)
        await on.engine.risk_watch.learn()
        assert limits == []
        now = on.engine.clock.now
        monkeypatch.setattr(on.engine.clock, "now", lambda: now() + DAY)
        await on.engine.risk_watch._learn_days(INSTRUMENT)
        # A clock that jumps lets the market fetch the bars that it missed, too.
        assert [asked for asked in limits if asked[0] == "1d"] == [("1d", 2)]

"""One instrument of the simulated market: its quotes, its market orders, its tape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from engine.model.candle import Candle
from engine.model.candle_builder import CandleBuilder
from engine.model.ids import TradeId
from engine.model.market import BookUpdate, MarketDatum, MarketTrade
from engine.model.order import OrderSide
from engine.venues.markets.sim_book import BookShape, Ladder, LadderState

if TYPE_CHECKING:
    import random

    from engine.model.instrument import Instrument
    from engine.venues.markets.sim_profile import PairProfile

__all__ = ["PairState", "SimulatedPair"]

_BASIS_BPS = 0.12
_BASIS_S = 3.0
"""Size and relaxation time of the noise by which an instrument strays from its fair price."""
_BAND_BPS = 0.22
"""Distance that the fair price may go before the quotes follow."""
_EXCITATION = 0.55
"""Market orders that one market order brings on by itself."""
_EXCITATION_DECAY = 1.2
"""Per second."""
_MAX_INTENSITY = 60.0
"""Market orders per second."""
_SWEEP = 0.5
"""Chance that levels in the way of new quotes are swept rather than cancelled."""
_ORDER_LEVELS = 4
"""Most levels that one market order goes through."""


class PairState(msgspec.Struct, array_like=True):
    """Everything about an instrument that changes."""

    reference: float
    """Ticks around which market makers quote."""
    anchor: float = 1.0
    """Ticks at which the texture was last scaled."""
    seq: int = 0
    trades: int = 0
    fair: float = 0.0
    """Ticks that the instrument is worth."""
    basis: float = 0.0
    """Log price by which it strays from what its assets are worth."""
    spread: int = 1
    """Ticks between the quotes."""
    excitement: float = 0.0
    """Market orders per second that earlier ones have brought on."""
    persistence: float = 0.0
    """Sign of the recent market orders, decaying."""
    asks: LadderState | None = None
    bids: LadderState | None = None
    growing: Candle | None = None


class SimulatedPair:
    """Book and tape of one instrument; the market tells it what it is worth and when to act.

    Args:
        profile: Its texture.
        instrument: Its rules; scaled prices are ticks and scaled quantities are lots.
        rng: The market's source of chance.
        rate: Book updates per second.
    """

    def __init__(self, profile: PairProfile, instrument: Instrument, rng: random.Random, rate: float) -> None:
        self.profile = profile
        self.instrument = instrument
        self._rng = rng
        self._interval = 1.0 / rate
        self._tick_value = 10.0**-instrument.price_scale
        self._lot_value = 10.0**-instrument.quantity_scale
        self._basis_fade = math.exp(-self._interval / _BASIS_S)
        self._basis_noise = _BASIS_BPS * 1e-4 * math.sqrt(1 - self._basis_fade**2)
        self.state = PairState(reference=0.0)
        self.asks = Ladder(1, rng)
        self.bids = Ladder(-1, rng)
        self.builder = CandleBuilder(instrument, "1m")
        self._tick_bps = 1.0
        self._min_lots = 1
        self._activity = 1.0
        self._mean_lots = 1.0

    def open(self, log_price: float) -> None:
        """Begin, or begin anew, with a fresh book around a log price."""
        state = self.state
        state.fair = state.reference = state.anchor = math.exp(log_price) / self._tick_value
        self._scale()
        state.excitement = 0.0
        state.spread = self._draw_spread(1.0)
        ask = math.ceil(state.reference + state.spread / 2)
        self.asks.build(ask, 1.0)
        self.bids.build(ask - state.spread, 1.0)

    def enter_minute(self, value: float) -> None:
        """Adapt texture and flow to the present price and to the minute's value in quote units."""
        self.state.anchor = self.state.reference
        self._scale()
        self._flow(value)

    def quote(self, ts: int, log_price: float, heat: float) -> list[MarketDatum]:
        """Move the quotes, publish what changed.

        Args:
            ts: UTC nanoseconds.
            log_price: What the assets make it worth.
            heat: Present volatility relative to its long-run mean.
        """
        state, rng = self.state, self._rng
        random = rng.random
        state.basis = state.basis * self._basis_fade + rng.gauss(0.0, self._basis_noise)
        fair = state.fair = math.exp(log_price + state.basis) / self._tick_value
        distance = fair - state.reference
        moved = abs(distance) > _BAND_BPS / self._tick_bps * (1.0 + 0.2 * heat) + 0.35 * state.spread
        if moved:
            state.reference += distance * (0.55 + 0.45 * random())
        if moved or random() < 0.12:
            state.spread = self._draw_spread(heat)
        ask = math.ceil(state.reference + state.spread / 2)
        bid = ask - state.spread
        depth = min(max(heat**-0.5, 0.25), 1.4)

        events: list[MarketDatum] = []
        lifted, hit = self.asks.retreat(ask), self.bids.retreat(bid)
        if (lifted or hit) and random() < _SWEEP:
            self._sweep(ts, OrderSide.BUY if lifted else OrderSide.SELL, lifted or hit, events)
        count = 1 + int(random() * 3)
        for ladder, target in ((self.asks, ask), (self.bids, bid)):
            if moved or not ladder.keys or random() < 0.6:
                ladder.advance(target, depth)
            ladder.churn(count, depth)
        state.seq += 1
        events.append(
            BookUpdate(
                self.instrument.id,
                ts,
                state.seq,
                snapshot=False,
                bids=self.bids.changes(),
                asks=self.asks.changes(),
            )
        )
        return events

    def arrivals(self, seconds: float, pace: float) -> list[float]:
        """When in the coming interval market orders arrive, in seconds from now, ascending.

        Args:
            seconds: Length of the interval.
            pace: Speed of the market's intrinsic time.
        """
        state, rng = self.state, self._rng
        state.excitement *= math.exp(-_EXCITATION_DECAY * seconds)
        base = self.profile.trades_per_second * (1 - _EXCITATION) * self._activity * min(pace, 25.0) ** 0.7
        intensity = min(base + state.excitement, _MAX_INTENSITY)
        found = []
        at = rng.expovariate(intensity)
        while at < seconds:
            found.append(at)
            at += rng.expovariate(intensity)
        return found

    def trade(self, ts: int) -> list[MarketDatum]:
        """Let one market order arrive."""
        state, rng = self.state, self._rng
        lean = (state.fair - state.reference) * self._tick_bps / _BAND_BPS
        buy = rng.random() < 0.5 + 0.22 * math.tanh(lean) + 0.22 * state.persistence
        state.persistence = 0.8 * state.persistence + (0.2 if buy else -0.2)
        state.excitement += _EXCITATION * _EXCITATION_DECAY
        side = OrderSide.BUY if buy else OrderSide.SELL
        ladder = self.asks if buy else self.bids
        events: list[MarketDatum] = []
        # Who sends a market order looks at the book first: few go through more than what stands near the touch.
        for price, got in ladder.take(self._draw_lots(), _ORDER_LEVELS):
            self._print(ts, side, price, got, events)
        return events

    def restart_tape(self) -> None:
        """Forget the growing minute."""
        self.builder = CandleBuilder(self.instrument, "1m")

    def snapshot(self, ts: int) -> BookUpdate:
        """The whole book now."""
        return BookUpdate(
            self.instrument.id,
            ts,
            self.state.seq,
            snapshot=True,
            bids=self.bids.levels(),
            asks=self.asks.levels(),
        )

    def dump(self) -> PairState:
        """The whole state, for `load`."""
        self.state.asks, self.state.bids = self.asks.dump(), self.bids.dump()
        self.state.growing = self.builder.growing
        return self.state

    def load(self, state: PairState, value: float) -> None:
        """Take up a state that `dump` gave, in a minute of some value."""
        self.state = state
        self._scale()
        self._flow(value)
        if state.asks is not None and state.bids is not None:
            self.asks.load(state.asks)
            self.bids.load(state.bids)
        if state.growing is not None:
            self.builder.resume(state.growing)

    def _scale(self) -> None:
        """Texture in ticks and lots at the anchor's price."""
        profile = self.profile
        ticks = self.state.anchor
        price = ticks * self._tick_value
        self._tick_bps = 1e4 / ticks
        self._min_lots = math.ceil(float(profile.min_notional) / price / self._lot_value)
        shape = BookShape(profile.gap_bps / self._tick_bps, profile.level_value / price / self._lot_value)
        self.asks.shape = shape
        self.bids.shape = shape

    def _flow(self, value: float) -> None:
        profile = self.profile
        self._activity = min(max((value * 1440 / profile.daily_volume) ** 0.5, 0.15), 6.0)
        lots = value / (self.state.anchor * self._tick_value * self._lot_value)
        # Sweeps trade too; 0.8 leaves room for them.
        self._mean_lots = max(0.8 * lots / (60 * profile.trades_per_second * self._activity), 1.0)

    def _draw_spread(self, heat: float) -> int:
        """Ticks between the quotes: lognormal around the typical spread, wider with volatility."""
        typical = self.profile.spread_bps / self._tick_bps
        return max(1, round(typical * (0.4 + 0.6 * math.pow(heat, 1.3)) * math.exp(self._rng.gauss(-0.1, 0.45))))

    def _sweep(self, ts: int, side: OrderSide, levels: list[tuple[int, int]], events: list[MarketDatum]) -> None:
        wanted = self._draw_lots()
        for price, lots in levels[:_ORDER_LEVELS]:
            got = min(lots, wanted)
            self._print(ts, side, price, got, events)
            wanted -= got
            if not wanted:
                return

    def _draw_lots(self) -> int:
        """Size of a market order: lognormal, at least what the rules ask for."""
        return int(self._mean_lots * math.exp(self._rng.gauss(-0.72, 1.2))) + self._min_lots

    def _print(self, ts: int, side: OrderSide, price: int, lots: int, events: list[MarketDatum]) -> None:
        self.state.trades += 1
        trade = MarketTrade(self.instrument.id, ts, TradeId(str(self.state.trades)), price, lots, side)
        # The market has rolled the builder to this minute, so that a trade never closes a bar here.
        self.builder.on_trade(trade)
        events.append(trade)

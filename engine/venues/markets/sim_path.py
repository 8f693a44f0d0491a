"""The fair prices of the simulated market, minute by minute: a pure function of seed and time, past and future alike.

Log returns of a minute follow a factor model with stochastic volatility:

    r_a = v_a (beta_a F + sqrt(1 - beta_a²) sqrt(N_a) e_a),   v_a = sigma_a season(t) sqrt(M_t)

F and e_a are Laplace at unit variance (the variance-gamma law of Madan and Seneta, 1990, at unit shape). M and N_a are
Markov-switching multifractals (Calvet and Fisher, "How to Forecast Long-Run Volatility", 2004): products of two-state
Markov chains that are redrawn at rates from minutes to weeks, which gives volatility regimes, fat tails and slowly
decaying autocorrelation of |r|.
Minute extremes are drawn from the law of a Brownian bridge between open and close (Glasserman, "Monte Carlo Methods in
Financial Engineering", 2003, §6.4): max = (x + sqrt(x² - 2 s² ln U)) / 2.

Days ("chunks" of 1440 minutes from the beginning on) are independent streams, so any day can be made alone; only the
level is chained, forwards from the beginning and backwards before it.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from engine.model.candle import FloatArray, IntArray
    from engine.venues.markets.sim_profile import AssetProfile, PairProfile, SimulatedSettings

__all__ = ["CHUNK", "HISTORY_DAYS", "Chunk", "FairPath", "Texture"]

_K = TypeVar("_K")
_V = TypeVar("_V")

CHUNK = 1440
"""Minutes of a chunk."""
HISTORY_DAYS = 400
"""Days of past before the beginning."""
_KEPT_CHUNKS = 40
"""Chunks kept in memory, about 0.15 MB each."""
_KEPT_TEXTURES = 100
"""Textures kept in memory, about 0.05 MB each."""

_M0 = 1.45
"""High state of a variance multiplier; the low state is 2 - _M0, so the mean is 1."""
_FAST_PERIODS = (4, 16, 64, 256)
_SLOW_PERIODS = (1_024, 4_096, 16_384)
_OWN_PERIOD = 120
"""Mean minutes between redraws of the components."""

# Mean |r| of recorded BTC/USDT 15 minute candles of 2025 by UTC hour and by weekday (Monday first), relative to all.
_HOURS = (
    1.09, 1.08, 0.93, 0.79, 0.75, 0.73, 0.77, 0.82, 0.80, 0.82, 0.76, 0.75,
    0.92, 1.31, 1.60, 1.42, 1.23, 1.29, 1.13, 1.07, 1.08, 1.03, 0.99, 0.85,
)  # fmt: skip
_WEEKDAYS = (1.20, 1.12, 1.10, 1.06, 1.08, 0.66, 0.78)


class Texture(NamedTuple):
    """What one pair's minutes of a day look like beside their opens and closes; all of shape (CHUNK,)."""

    above: FloatArray
    """Log distance of the minute's high above max(open, close)."""
    below: FloatArray
    """Log distance of the minute's low below min(open, close)."""
    value: FloatArray
    """Traded value in quote units."""
    bounce: FloatArray
    """-1 or 1: the side of the book at which the minute's last trade was."""


class Chunk(NamedTuple):
    """One day of the path; rows are assets, columns are minutes."""

    levels: FloatArray
    """Log prices in USDT at the minutes' opens and, last, at the end, shape (assets, CHUNK + 1)."""
    sigma: FloatArray
    """Standard deviation of each minute's log return, shape (assets, CHUNK)."""
    factor: FloatArray
    """The part of it that all assets share, shape (assets, CHUNK)."""
    heat: FloatArray
    """Volatility relative to its long-run mean, shape (CHUNK,)."""


class FairPath:
    """Random access to the fair prices.

    Safe to use from several threads: everything it caches is a pure function of its key, so that two threads at worst
    compute the same thing twice.

    Args:
        settings: Seed, volatility and seasons.
        genesis: Minutes since 1970 at which the assets have their profile's prices.
        assets: What is priced in USDT.
        pairs: The instruments; base and quote are assets or USDT.
    """

    def __init__(
        self,
        settings: SimulatedSettings,
        genesis: int,
        assets: tuple[AssetProfile, ...],
        pairs: tuple[PairProfile, ...],
    ) -> None:
        self.genesis = genesis
        self._settings = settings
        self._sigma = np.array([a.sigma for a in assets]) * settings.volatility
        self._beta = np.array([a.beta for a in assets])
        self._own = np.sqrt(1 - self._beta**2)
        codes = [a.code for a in assets]
        self.weights: FloatArray = np.zeros((len(pairs), len(assets)))
        """How each pair's log price is made of the assets' log prices, shape (pairs, assets)."""
        for row, pair in enumerate(pairs):
            self.weights[row, codes.index(pair.base)] += 1
            if pair.quote in codes:
                self.weights[row, codes.index(pair.quote)] -= 1
        self._minute_value = np.array([p.daily_volume for p in pairs]) / CHUNK
        # Edges are log prices at which a chunk opens; edge k + 1 is where chunk k ends.
        self._edges: dict[int, FloatArray] = {0: np.log(np.array([a.price for a in assets]))}
        self._chunks: dict[int, Chunk] = {}
        self._textures: dict[tuple[int, int], Texture] = {}
        self._redraws: dict[tuple[int, int], tuple[int, float]] = {}

    def chunk(self, index: int) -> Chunk:
        """One day; 0 begins at genesis, -1 ends there."""
        found = self._chunks.get(index)
        if found is not None:
            return found
        edges = self._edges
        if index >= 0:
            first = index
            while first not in edges:
                first -= 1
            for i in range(first, index):
                self._make(i)
        else:
            first = index
            while first + 1 not in edges:
                first += 1
            for i in range(first, index, -1):
                self._make(i)
        return self._make(index)

    def minute(self, minute: int) -> tuple[int, int]:
        """Index of the chunk of a minute since 1970, and its column in it."""
        return divmod(minute - self.genesis, CHUNK)

    def _make(self, index: int) -> Chunk:
        """Make a chunk whose edge towards the beginning is known."""
        rng = self._stream(index, 0)
        season = self._season(index)
        common = self._common(rng, index)
        n_assets = len(self._sigma)
        own = np.ones((n_assets, CHUNK))
        for row in own:
            row *= _switching(rng, _OWN_PERIOD)
        shocks = rng.laplace(0.0, math.sqrt(0.5), size=(n_assets + 1, CHUNK))

        heat = season * np.sqrt(common)
        factor = (self._sigma * self._beta)[:, None] * heat
        idiosyncratic = (self._sigma * self._own)[:, None] * heat * np.sqrt(own)
        sigma = np.hypot(factor, idiosyncratic)
        returns = factor * shocks[0] + idiosyncratic * shocks[1:] - 0.5 * sigma**2
        levels = np.empty((n_assets, CHUNK + 1))
        levels[:, 0] = 0
        np.cumsum(returns, axis=1, out=levels[:, 1:])
        edges = self._edges
        levels += (edges[index + 1] - levels[:, -1] if index < 0 else edges[index])[:, None]
        if index < 0:
            edges[index] = levels[:, 0].copy()
        else:
            edges[index + 1] = levels[:, -1].copy()
        return _keep(self._chunks, index, Chunk(levels, sigma, factor, heat), _KEPT_CHUNKS)

    def texture(self, index: int, pair: int) -> Texture:
        """How one pair's minutes of a day look."""
        key = (index, pair)
        found = self._textures.get(key)
        if found is None:
            found = _keep(self._textures, key, self._make_texture(self.chunk(index), index, pair), _KEPT_TEXTURES)
        return found

    def _make_texture(self, chunk: Chunk, index: int, pair: int) -> Texture:
        rng = self._stream(index, 1 + pair)
        weights = self.weights[pair]
        levels = weights @ chunk.levels
        move = np.diff(levels)
        idiosyncratic = (weights**2) @ (chunk.sigma**2 - chunk.factor**2)
        sigma = np.sqrt((weights @ chunk.factor) ** 2 + idiosyncratic)
        above, below = _extremes(rng, move, sigma)
        value = self._values(rng, pair, chunk.heat, np.abs(move) / sigma)
        bounce = np.where(rng.random(CHUNK) < 0.5, -1.0, 1.0)
        return Texture(above, below, value, bounce)

    def _stream(self, index: int, purpose: int) -> np.random.Generator:
        seed = self._settings.seed & 0xFFFF_FFFF_FFFF_FFFF
        return np.random.default_rng([seed, 2 * abs(index) + (index < 0), purpose])

    def _season(self, index: int) -> FloatArray:
        if not self._settings.seasonal:
            return np.ones(CHUNK)
        minutes = self.genesis + index * CHUNK + np.arange(CHUNK)
        hour = (minutes % 1440) / 60
        by_hour = np.interp(hour, np.arange(-1, 25) + 0.5, (_HOURS[-1], *_HOURS, _HOURS[0]))
        by_day = np.array(_WEEKDAYS)[(minutes // 1440 + 3) % 7]
        season: FloatArray = by_hour * by_day
        return season

    def _common(self, rng: np.random.Generator, index: int) -> FloatArray:
        """Variance multiplier that all assets share, shape (CHUNK,)."""
        result = np.ones(CHUNK)
        for period in _FAST_PERIODS:
            result *= _switching(rng, period)
        for k, period in enumerate(_SLOW_PERIODS):
            at, after = self._redraw(k, index)
            result[at:] *= after
            result[:at] *= self._carried(k, index, period)
        return result

    def _redraw(self, component: int, index: int) -> tuple[int, float]:
        """When a slow component is redrawn in a chunk (CHUNK for not at all), and to what."""
        key = (component, index)
        found = self._redraws.get(key)
        if found is None:
            period = _SLOW_PERIODS[component]
            rng = random.Random(f"{self._settings.seed}/{component}/{index}")
            at = int(rng.expovariate(1 / period))
            value = _M0 if rng.random() < 0.5 else 2 - _M0
            found = self._redraws[key] = (min(at, CHUNK), value)
        return found

    def _carried(self, component: int, index: int, period: int) -> float:
        """Value of a slow component when a chunk begins: that of its last redraw before."""
        for before in range(index - 1, index - 1 - 40 * (period // CHUNK + 1), -1):
            at, value = self._redraw(component, before)
            if at < CHUNK:
                return value
        return 1.0

    def _values(self, rng: np.random.Generator, pair: int, heat: FloatArray, surprise: FloatArray) -> FloatArray:
        """Traded value a minute: lognormal, rising with volatility and with the size of the move in deviations."""
        noise = 0.5 * rng.standard_normal(CHUNK) + 0.45 * (_mood(rng, 150) + _mood(rng, 12))
        level = self._minute_value[pair] * 1.1 * heat * np.exp(noise - 0.33)
        result: FloatArray = level * (0.65 + 0.45 * surprise)
        return result


def _keep(cache: dict[_K, _V], key: _K, value: _V, limit: int) -> _V:
    """Put a value into a cache and drop the oldest ones beyond the limit."""
    cache[key] = value
    if len(cache) > limit:
        for old in list(cache)[: len(cache) - limit]:
            cache.pop(old, None)
    return value


def _spells(rng: np.random.Generator, period: int) -> IntArray:
    """Numbers the spells of a day that lasts until a redraw, which comes with probability 1/period a minute."""
    return np.cumsum(rng.random(CHUNK, dtype=np.float32) < 1 / period, dtype=np.int64)


def _switching(rng: np.random.Generator, period: int) -> FloatArray:
    spells = _spells(rng, period)
    values: FloatArray = np.where(rng.random(int(spells[-1]) + 1) < 0.5, _M0, 2 - _M0)
    return values[spells]


def _mood(rng: np.random.Generator, period: int) -> FloatArray:
    spells = _spells(rng, period)
    values: FloatArray = rng.standard_normal(int(spells[-1]) + 1)
    return values[spells]


def _extremes(rng: np.random.Generator, move: FloatArray, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log distance of a bridge's high above max(start, end), and of its low below the minimum."""
    variance = 2 * sigma**2
    top = 0.5 * (move + np.sqrt(move**2 - variance * np.log1p(-rng.random(move.shape))))
    bottom = 0.5 * (move - np.sqrt(move**2 - variance * np.log1p(-rng.random(move.shape))))
    return top - np.maximum(move, 0), np.minimum(move, 0) - bottom

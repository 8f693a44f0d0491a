"""The parity report: what a bot did, read from the journal, beside a backtest of the same time and settings."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.backtest.parity import Leg, Past, RecordedTrade, Span, compare
from engine.backtest.prepare import prepare_run, utc_text
from engine.backtest.run import END_OF_DATA
from engine.backtest.spec import BacktestSpec
from engine.backtest.trades import TradeBook
from engine.bots.config import BotConfig
from engine.errors import ConfigurationError, DataError, NotFoundError
from engine.model.candle import timeframe_ns
from engine.model.ids import InstrumentId, symbol_of, venue_of
from engine.model.order import OrderSide, OrderType
from storage.journal.reader import Query, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from engine.config import Settings
    from engine.model.fill import Fill
    from engine.model.ids import ClientOrderId, Owner
    from engine.model.instrument import Instrument
    from storage.candles import CandleStore

__all__ = ["BotPast", "parity_report"]

KINDS = (
    "BotCreated", "BotConfigured", "BotStateChanged", "BotDeleted", "SignalRaised", "OrderIntended", "OrderRefused",
    "OrderRejected", "OrderFilled", "TradingStateChanged", "BreakerTripped", "BreakerReset", "InstrumentDefined",
    "EquityRecorded", "EngineStarted", "EngineStopped", "AccountOpened",
)  # fmt: skip
_UP = ("running",)
_RESTING = (OrderType.LIMIT, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
FOREVER = 2**63 - 1


class BotPast:
    """Everything the journal tells of one bot, collected in one pass.

    Args:
        records: The facts, in order; those of KINDS are enough.
        bot: Name or id of the bot; of several of that name (one may have been deleted) the newest.

    Raises:
        NotFoundError: There is no such bot in them.
    """

    def __init__(self, records: Iterable[ev.Record], bot: str) -> None:
        self.owner: Owner | None = None
        self.name = bot
        self.configs: list[tuple[int, BotConfig]] = []
        self.states: list[tuple[int, str, str]] = []
        self.signals: list[ev.SignalRaised] = []
        self.refusals: list[tuple[int, str]] = []
        self.fills: list[Fill] = []
        self.intents: dict[ClientOrderId, tuple[int, ev.OrderIntended]] = {}
        self.instruments: dict[InstrumentId, Instrument] = {}
        self.equities: dict[str, list[tuple[int, Decimal]]] = {}
        self.base: dict[str, str] = {}
        self.halts: list[Span] = []
        self.processes: list[tuple[int, bool]] = []
        """When an engine began (True) or ended in order (False)."""
        self.last = 0
        self._open: dict[str, tuple[int, str]] = {}
        self._read(records, bot)
        if self.owner is None:
            raise NotFoundError(f"The journal knows no bot {bot!r}; `quarterdeck bots list` names them.")
        self._end_halts()

    @classmethod
    def of_home(cls, home: Path, bot: str) -> BotPast:
        """What the journal of a home folder tells. Raises NotFoundError where there is none, or no such bot in it."""
        path = home / "journal.db"
        if not path.exists():
            raise NotFoundError(f"There is no journal in {home}; nothing was recorded there yet.")
        reader = Reader(path)
        try:
            return cls(reader.records(query=Query(kinds=KINDS)), bot)
        finally:
            reader.close()

    def _read(self, records: Iterable[ev.Record], bot: str) -> None:
        for record in records:
            event, ts = record.event, record.ts
            self.last = ts
            if isinstance(event, ev.BotCreated) and bot in (event.bot, event.name):
                self.owner, self.name = event.bot, event.name
                self.configs, self.states, self.signals, self.refusals, self.fills = [], [], [], [], []
                self.intents = {}
                self._configured(ts, event.config)
            elif isinstance(event, ev.BotConfigured) and event.bot == self.owner:
                self._configured(ts, event.config)
            else:
                self._hear(event, ts)

    def _configured(self, ts: int, config: bytes) -> None:
        try:
            self.configs.append((ts, BotConfig.decode(config)))
        except ConfigurationError:
            return  # one of another release; the report says so where none is left

    def _hear(self, event: ev.Event, ts: int) -> None:
        match event:
            case ev.BotStateChanged() if event.bot == self.owner:
                self.states.append((ts, event.state, event.reason))
            case ev.SignalRaised() if event.bot == self.owner:
                self.signals.append(event)
            case ev.OrderIntended() if event.owner == self.owner:
                self.intents[event.client_id] = (ts, event)
            case ev.OrderRefused() if event.owner == self.owner:
                self.refusals.append((ts, f"{', '.join(event.codes)}: {event.message}"))
            case ev.OrderRejected() if event.client_id in self.intents:
                self.refusals.append((event.ts or ts, f"rejected by the venue ({event.code}): {event.reason}"))
            case ev.OrderFilled() if event.fill.client_id in self.intents:
                self.fills.append(event.fill)
            case _:
                self._hear_others(event, ts)

    def _hear_others(self, event: ev.Event, ts: int) -> None:
        match event:
            case ev.InstrumentDefined():
                self.instruments[event.instrument.id] = event.instrument
            case ev.EquityRecorded():
                self.equities.setdefault(event.account, []).append((event.ts, event.equity))
            case ev.AccountOpened():
                self.base[event.account.id] = str(event.account.base_currency)
            case ev.EngineStarted():
                self.processes.append((ts, True))
            case ev.EngineStopped():
                self.processes.append((ts, False))
            case ev.TradingStateChanged():
                self._halted(f"trading of {event.scope}", event.state == "active", ts, f"{event.state}: {event.reason}")
            case ev.BreakerTripped():
                self._halted(f"breaker {event.breaker} {event.scope}", False, ts, event.reason)
            case ev.BreakerReset():
                self._halted(f"breaker {event.breaker} {event.scope}", True, ts, "")

    def _halted(self, what: str, over: bool, ts: int, words: str) -> None:
        began = self._open.pop(what, None)
        if began is not None:
            self.halts.append(Span(start=began[0], end=ts, kind="halt", words=f"{what}: {began[1]}"))
        if not over:
            self._open[what] = (ts, words)

    def _end_halts(self) -> None:
        for what, (ts, words) in self._open.items():
            self.halts.append(Span(start=ts, end=FOREVER, kind="halt", words=f"{what}: {words}"))

    # --- what is asked of it -----------------------------------------------------------------------------------------

    def config_at(self, ts: int) -> BotConfig:
        """The configuration in force at a time, the first one for any earlier time.

        Raises:
            DataError: None can be read by this release.
        """
        if not self.configs:
            raise DataError(f"No configuration of the bot {self.name} can be read by this release.")
        return next((config for when, config in reversed(self.configs) if when <= ts), self.configs[0][1])

    def spans(self, start: int, end: int) -> list[Span]:
        """When the bot could not enter within a window: not up, paused, halted."""
        found = [*self.halts, *self._downtime()]
        return sorted(
            (span for span in found if span.end > start and span.start < end), key=lambda span: (span.start, span.kind)
        )

    def _downtime(self) -> Iterator[Span]:
        began, state, reason = 0, "stopped", "it was not started yet"
        for ts, now, why in self.states:
            if state not in _UP and ts > began:
                yield _span(began, ts, state, reason)
            began, state, reason = ts, now, why
        if state not in _UP:
            yield _span(began, FOREVER, state, reason)
        ended = 0
        for ts, up in self.processes:
            if up and ended:
                yield Span(start=ended, end=ts, kind="downtime", words="no engine was running")
            ended = 0 if up else ts

    def first_start(self) -> int:
        """When it was first started; 0 when never."""
        return next((ts for ts, state, _ in self.states if state == "running"), 0)

    def equity_at(self, account: str, ts: int) -> Decimal | None:
        """The account's equity recorded last before a time, or first after it."""
        known = self.equities.get(account, [])
        before = [value for when, value in known if when <= ts]
        return before[-1] if before else known[0][1] if known else None

    def trades(self, instrument: Instrument, start: int, end: int) -> list[RecordedTrade]:
        """Its round trips that began within a window; the last may be open."""
        book = TradeBook(instrument)
        found: list[RecordedTrade] = []
        held: list[Fill] = []
        for fill in sorted((f for f in self.fills if f.instrument == instrument.id), key=lambda fill: fill.ts):
            if fill.ts >= end:
                break
            held.append(fill)
            closed = book.add(fill, self.intents[fill.client_id][1].decision.reason)
            if closed is None:
                continue
            found.append(
                RecordedTrade(
                    side=closed.side,
                    quantity=float(closed.quantity),
                    entry=self._leg(held[0], float(closed.entry_price)),
                    exit=self._leg(fill, float(closed.exit_price)),
                    fees=float(closed.fees),
                    pnl=float(closed.pnl),
                )
            )
            held = [fill] if book.open_since else []
        if held and book.open_since:
            side = held[0].side if len(held) == 1 or held[0].side is held[-1].side else held[-1].side
            same = [fill for fill in held if fill.side is side]
            units = sum((fill.quantity for fill in same), Decimal(0))
            value = sum((fill.quantity * fill.price for fill in same), Decimal(0))
            leg = self._leg(held[0], float(value / units))
            found.append(RecordedTrade(side=side, quantity=float(units), entry=leg))
        return [trade for trade in found if trade.entry.ts >= start]

    def _leg(self, fill: Fill, price: float) -> Leg:
        sent, intent = self.intents[fill.client_id]
        told = intent.decision
        touch = told.best_ask if fill.side is OrderSide.BUY else told.best_bid
        rests = intent.type in _RESTING
        trigger = (intent.stop_price or intent.price) if rests else None
        return Leg(
            ts=fill.ts,
            price=price,
            side=fill.side,
            reason=told.reason,
            sent=sent,
            mark=None if told.mark is None else float(told.mark),
            touch=None if touch is None else float(touch),
            trigger=None if trigger is None else float(trigger),
        )


def _span(start: int, end: int, state: str, reason: str) -> Span:
    kind = "paused" if state == "paused" else "downtime"
    return Span(start=start, end=end, kind=kind, words=f"the bot was {state}" + (f" ({reason})" if reason else ""))


# --- the report ------------------------------------------------------------------------------------------------------


def parity_report(
    home: Path,
    settings: Settings,
    store: CandleStore,
    release: str,
    request: dict[str, Any],
    tell: Callable[[float, str], None],
) -> tuple[str, str, dict[str, Any]]:
    """Replay what a bot did through the backtester; blocks.

    Args:
        home: Home folder with the journal.
        settings: Those in force, whose risk limits the run uses.
        store: Candles.
        release: This program's.
        request: `bot`, `start`, `end`, `session`, `fills`, `any_version`.
        tell: Hears the share done.

    Returns:
        A title, a sentence, and the report in plain values.

    Raises:
        NotFoundError: There is no such bot, or no candles.
        DataError: The window holds nothing, or the strategy is not the one that traded.
    """
    from engine.strategy.loader import StrategyRegistry

    tell(0.0, "reading the journal")
    past = BotPast.of_home(home, request["bot"])
    start, end = _window(home, past, request)
    config = past.config_at(start)
    instrument = past.instruments.get(InstrumentId(config.instrument))
    if config.universe is not None:
        raise DataError(f"{past.name} is a universe; ask for one of its members, such as those of `bots list`.")
    if instrument is None:
        raise DataError(f"The instrument {config.instrument} was not recorded, so its rules are not known.")
    notes: list[str] = []
    if request["session"]:
        _candles_of(home, request["session"], config, notes)
    spec = _spec(past, config, instrument, settings, (start, end), request, notes)
    tell(0.2, "running the backtest")
    prepared = prepare_run(spec, store, StrategyRegistry(home / "strategies"), release)
    _same_strategy(past, prepared.strategy, start, end, notes, any_version=request["any_version"])
    result = prepared.execute(lambda share: tell(0.2 + 0.7 * share, "running the backtest"))
    length = timeframe_ns(config.timeframe)
    first, last = int(prepared.bars.ts[0]), int(prepared.bars.ts[-1]) + length
    if first > start + length or last < end - length:
        notes.append(
            f"Candles are stored from {utc_text(first)} to {utc_text(last)} alone; the comparison is of that time."
        )
    start, end = max(start, first), min(end, last)
    told = _told(past, instrument, start, end)
    ends, closes = (prepared.bars.ts + length).tolist(), prepared.bars.close.tolist()
    report = compare(told, result.trades, ends, closes, length, END_OF_DATA)
    notes += _not_recorded(told)
    summary = report["summary"]
    words = ", ".join(f"{summary[state]} {state}" for state in ("equal", "differs", "missing", "extra"))
    report |= {
        "bot": past.name,
        "strategy": prepared.loaded.name,
        "version": prepared.loaded.version,
        "instrument": str(instrument.id),
        "timeframe": config.timeframe,
        "start": start,
        "end": end,
        "hash": prepared.run_hash,
        "assumptions": prepared.assumptions(result),
        "refusals_tested": result.refusals,
        "spans": [
            {"start": s.start, "end": None if s.end == FOREVER else s.end, "kind": s.kind, "words": s.words}
            for s in told.spans
        ],
        "notes": notes,
    }
    return f"{past.name}, {utc_text(start)} to {utc_text(end)}", words, report


def _window(home: Path, past: BotPast, request: dict[str, Any]) -> tuple[int, int]:
    start, end = request["start"], request["end"]
    if request["session"]:
        from engine.control.recording import recordings_folder
        from storage.recordings.shelf import Shelf

        manifest = Shelf(recordings_folder(home)).manifest(request["session"])
        start = manifest.start if start is None else start
        end = (manifest.end or past.last) if end is None else end
    began = past.first_start()
    if not began:
        raise DataError(f"The bot {past.name} was never started; there is nothing to compare.")
    start = max(began, start) if start is not None else began
    end = min(end, past.last) if end is not None else past.last
    if start >= end:
        raise DataError(
            f"Nothing of the bot {past.name} was recorded in that time; it ran from {utc_text(began)}, and the journal "
            f"ends {utc_text(past.last)}."
        )
    return start, end


def _candles_of(home: Path, session: str, config: BotConfig, notes: list[str]) -> None:
    from engine.control.recording import store_candles

    key, _, bars = store_candles(home, session, config.instrument, config.timeframe)
    notes.append(f"{bars:,} bars of the recording {session} were put into the candle store as {key.words}.")


def _spec(
    past: BotPast,
    config: BotConfig,
    instrument: Instrument,
    settings: Settings,
    window: tuple[int, int],
    request: dict[str, Any],
    notes: list[str],
) -> BacktestSpec:
    start, end = window
    rules = instrument.rules_at(start)
    account = next((intent.account for _, intent in past.intents.values()), config.account)
    equity = past.equity_at(account, start)
    capital = config.capital
    if equity is not None and past.base.get(account) == str(instrument.quote):
        capital = equity
    else:
        notes.append(
            f"The equity of the account was not recorded in {instrument.quote}; sizes are of the bot's capital of "
            f"{config.capital}."
        )
    changed = [when for when, _ in past.configs if start < when < end]
    if changed:
        notes.append(f"The configuration was changed {len(changed)} times; the backtest uses that of the beginning.")
    length = timeframe_ns(config.timeframe)
    more = {"fills": request["fills"]} if request["fills"] else {}
    return BacktestSpec.model_validate(
        {
            "strategy": config.strategy,
            "strategy_file": config.strategy_file,
            "params": config.params,
            "venue": str(venue_of(instrument.id)).lower(),
            "symbol": symbol_of(instrument.id),
            "timeframe": config.timeframe,
            # From the bar that was under way on: its close is the first that the bot could decide on.
            "start": start - start % length,
            "end": end,
            "capital": capital,
            "maker_fee": rules.maker_fee,
            "taker_fee": rules.taker_fee,
            "price_tick": rules.price_tick,
            "lot": rules.lot,
            "min_notional": rules.min_notional,
            "limits": config.own_limits.stricter(settings.risk),
            **more,
        }
    )


def _same_strategy(past: BotPast, strategy: Any, start: int, end: int, notes: list[str], *, any_version: bool) -> None:
    """Refuse to compare with another version of the strategy, unless a person wants it."""
    told = {intent.decision.strategy for ts, intent in past.intents.values() if start <= ts < end}
    told.discard(None)
    now = f"{strategy.name}@{strategy.version}"
    others = sorted(str(one) for one in told if one != now)
    if not others:
        return
    words = f"The bot traded with {', '.join(others)}, and {now} is installed"
    if not any_version:
        raise DataError(
            f"{words}: the comparison would be of two strategies. Put the other version back (`bots versions` lists "
            "what is kept), or compare all the same with --any-version."
        )
    notes.append(f"{words}; differences may come from that.")


def _told(past: BotPast, instrument: Instrument, start: int, end: int) -> Past:
    return Past(
        trades=past.trades(instrument, start, end),
        spans=past.spans(start, end),
        refusals=[(ts, words) for ts, words in past.refusals if start <= ts < end],
        signals=[(s.ts, str(s.action), f"{s.direction} {s.reason}") for s in past.signals if start <= s.ts <= end],
        changes=[ts for ts, _ in past.configs if start < ts < end],
    )


def _not_recorded(told: Past) -> list[str]:
    legs = [leg for trade in told.trades for leg in (trade.entry, trade.exit) if leg is not None]
    taken = [leg for leg in legs if leg.trigger is None]
    blind = sum(leg.touch is None for leg in taken)
    notes = ["The book between two decisions is not in the journal: how an order moved the market is not recorded."]
    if blind:
        notes.append(f"Of {blind} of {len(taken)} orders no book was recorded: spread and slippage are not known.")
    return notes

"""What every strategy on books must keep to, as checks in plain words; the sibling of `engine.strategy.conformance`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.errors import ConfigurationError, StrategyError
from engine.strategy.conformance import (
    CheckResult,
    beyond,
    bounds,
    foreign_imports,
)
from engine.strategy.event_practice import EventDriver, make_instrument, walk_ticks
from engine.strategy.faults import THEIR_FAULTS, cause_text
from engine.strategy.intents import Legs, Place, Quote, Take, Want
from engine.strategy.params import describe_params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.strategy.event_practice import Tick
    from engine.strategy.loader import LoadedStrategy
    from engine.strategy.quoting import EventStrategy

__all__ = ["EVENT_CHECKS", "EventCase", "run_event_checks"]

_KEY = re.compile(r"[a-z0-9_-]{1,24}")
TICKS = 1200
RESTARTS = 40
MOST_ORDERS = 200
MARKETS = (("SIM", "BTC/USDT", 20_000.0), ("SIM2", "BTC/USDT", 20_000.0), ("SIM", "ETH/USDT", 1_500.0))
"""Made-up markets; a strategy is given as many as it needs."""


@dataclass(frozen=True)
class EventCase:
    """A strategy with parameters on a made-up market of books and trades.

    Attributes:
        loaded: The strategy.
        values: Parameters that differ from the defaults.
        count: Ticks.
    """

    loaded: LoadedStrategy
    values: Mapping[str, object] = field(default_factory=dict)
    count: int = TICKS

    def make(self) -> EventStrategy:
        """An instance."""
        return self.loaded.build_event(dict(self.values))

    def driver(self, **changes: object) -> EventDriver:
        """A driver with fresh markets."""
        needed = max(getattr(self.loaded.cls, "min_markets", 1), 1)
        instruments = [make_instrument(venue, symbol) for venue, symbol, _ in MARKETS[:needed]]
        return EventDriver(lambda: self.loaded.build_event({**self.values, **changes}), instruments)

    def ticks(self, seed: int, count: int = 0) -> list[Tick]:
        """A made-up market."""
        needed = max(getattr(self.loaded.cls, "min_markets", 1), 1)
        return walk_ticks(seed, count or self.count, [price for _, _, price in MARKETS[:needed]])

    def drive(self, seed: int = 1, count: int = 0) -> EventDriver:
        """The strategy at work."""
        return self.driver().run(self.ticks(seed, count))


def two_runs_are_the_same(case: EventCase) -> None:
    """Nothing may be random, or left over from a former run."""
    if case.drive().summary() != case.drive().summary():
        raise StrategyError("Two runs on the same events differ: it uses chance, a clock, or what outlives the run.")


def restarts_change_nothing(case: EventCase) -> None:
    """A new instance with the saved memory must go on in the same way."""
    restarts = set(np.random.default_rng(3).integers(0, case.count, RESTARTS).tolist())
    if case.driver().run(case.ticks(1), restart_at=restarts).summary() != case.drive().summary():
        raise StrategyError("After a restart it goes on differently: what it remembers belongs into its `Memory`.")


def it_keeps_nothing_on_itself(case: EventCase) -> None:
    """What is kept on `self` is lost at a restart."""
    kept = set(vars(case.drive().strategy)) - set(vars(case.make()))
    if kept:
        raise StrategyError(f"It keeps {', '.join(sorted(kept))} on `self`; put it into `Memory`.")


def what_it_asks_for_can_be_sent(case: EventCase) -> None:
    """Keys, prices and quantities must be possible."""
    for _, intent in case.drive(5).log:
        asked: list[Want | Take] = []
        if isinstance(intent, Quote):
            asked += intent.wants
            if len({want.key for want in intent.wants}) != len(intent.wants):
                raise StrategyError("Two quotes have the same key; a key names one order.")
        elif isinstance(intent, Place):
            asked.append(intent.want)
        elif isinstance(intent, Take):
            asked.append(intent)
        elif isinstance(intent, Legs):
            asked += intent.legs
        for order in asked:
            if not _KEY.fullmatch(order.key):
                raise StrategyError(f"The key {order.key!r} cannot be used: at most 24 of a-z, 0-9, _ and -.")
            if not order.quantity > 0 or (order.price is not None and not order.price > 0):
                raise StrategyError(f"The order {order.key} has the quantity {order.quantity} and price {order.price}.")


def it_does_not_ask_for_more_and_more(case: EventCase) -> None:
    """Orders and memory must stay bounded."""
    driver = case.drive()
    working = sum(len(orders) for orders in driver.context.orders.values())
    if working > MOST_ORDERS:
        raise StrategyError(f"{working} orders work at once; cancel what is not wanted any more.")
    if len(msgspec.msgpack.encode(driver.context.memory)) >= 1 << 20:
        raise StrategyError("It remembers more than 1 MB.")


def refused_orders_do_not_stop_it(case: EventCase) -> None:
    """Everything may be refused."""
    driver = case.driver()
    driver.refuse = lambda _: "not enough money"
    driver.run(case.ticks(1))


def paused_it_goes_on(case: EventCase) -> None:
    """While it may not enter it must not fail."""
    driver = case.driver()
    driver.context.may_enter = False
    driver.run(case.ticks(2, 300))


def an_empty_market_is_left_alone(case: EventCase) -> None:
    """Without a book nothing may be taken."""
    driver = case.driver()
    driver.strategy.on_start(driver.context)
    driver.strategy.on_timer(driver.context)
    if any(isinstance(intent, Take | Legs) for intent in driver.context.drain()):
        raise StrategyError("It takes from a market of which nothing is known; ask `market.ready` first.")


def memory_survives_being_saved(case: EventCase) -> None:
    """What is remembered must be the same after a save and a restore."""
    memory = case.drive(count=300).context.memory
    if msgspec.msgpack.decode(msgspec.msgpack.encode(memory), type=type(memory)) != memory:
        raise StrategyError("Its memory is not the same after it was saved and taken up; use plain fields in `Memory`.")


def it_runs_at_every_bound(case: EventCase) -> None:
    """The outermost values that are allowed must work."""
    for spec in describe_params(case.loaded.cls):
        for value in bounds(spec):
            try:
                case.loaded.build_event({**case.values, spec.name: value})
            except ConfigurationError:
                continue  # the bound of one parameter may contradict the default of another
            EventCase(case.loaded, {**case.values, spec.name: value}).drive(7, 60)


def values_out_of_bounds_are_refused(case: EventCase) -> None:
    """What lies outside the declared bounds must not be taken."""
    for spec in describe_params(case.loaded.cls):
        for value in beyond(spec):
            try:
                case.loaded.build_event({spec.name: value})
            except ConfigurationError:
                continue
            raise StrategyError(f"{spec.name}={value!r} is taken although it is out of bounds.")


def every_parameter_is_explained(case: EventCase) -> None:
    """Forms and documents show what a parameter is."""
    missing = [spec.name for spec in describe_params(case.loaded.cls) if not spec.help.endswith(".")]
    if missing:
        raise StrategyError(f"Without a sentence that says what they are: {', '.join(missing)}.")


def it_imports_the_contract_alone(case: EventCase) -> None:
    """A strategy does no input or output."""
    foreign = foreign_imports(case.loaded.path)
    if foreign:
        raise StrategyError(f"It imports {', '.join(sorted(foreign))}; the contract and the nouns are enough.")


EVENT_CHECKS: tuple[tuple[str, Callable[[EventCase], None]], ...] = (
    ("It imports the contract and the nouns alone.", it_imports_the_contract_alone),
    ("Every parameter is explained.", every_parameter_is_explained),
    ("Values out of bounds are refused.", values_out_of_bounds_are_refused),
    ("It runs at every bound of its parameters.", it_runs_at_every_bound),
    ("Two runs are the same.", two_runs_are_the_same),
    ("A restart at any moment changes nothing.", restarts_change_nothing),
    ("It keeps nothing on itself.", it_keeps_nothing_on_itself),
    ("What it asks for can be sent.", what_it_asks_for_can_be_sent),
    ("It does not ask for more and more.", it_does_not_ask_for_more_and_more),
    ("Refused orders do not stop it.", refused_orders_do_not_stop_it),
    ("Paused it goes on without failing.", paused_it_goes_on),
    ("An empty market is left alone.", an_empty_market_is_left_alone),
    ("Its memory survives being saved.", memory_survives_being_saved),
)
"""What must hold for every strategy that decides on events."""
ASKS = "It asks for something."


def run_event_checks(
    loaded: LoadedStrategy,
    values: Mapping[str, object] | None = None,
    tell: Callable[[float, str], None] = lambda share, words: None,
) -> list[CheckResult]:
    """Ask every check; one that fails does not hold up the others. As `conformance.run_checks`."""
    case = EventCase(loaded, values or {})
    results = []
    for number, (words, check) in enumerate(EVENT_CHECKS):
        tell(number / len(EVENT_CHECKS), words.rstrip("."))
        said = _what_is_wrong(check, case)
        results.append(CheckResult(check=words, state="failed" if said else "passed", said=said))
    try:
        asked, fills = len(case.drive().log), len(case.drive().fills)
    except THEIR_FAULTS:  # what is wrong has been said
        return results
    said = f"{asked} wishes and {fills} executions in {case.count:,} moments of a made-up market."
    if not asked:
        said = f"Nothing is asked for in {case.count:,} moments of a made-up market; look at its conditions."
    results.append(CheckResult(check=ASKS, state="passed" if asked else "note", said=said))
    return results


def _what_is_wrong(check: Callable[[EventCase], None], case: EventCase) -> str:
    try:
        check(case)
    except (StrategyError, ConfigurationError) as error:
        return error.message
    except THEIR_FAULTS as error:  # a strategy's own code may raise anything
        return f"It fails: {cause_text(error).rstrip('.')}."
    return ""

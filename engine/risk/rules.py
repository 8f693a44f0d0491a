"""The rules an entry must pass, each a small function that gives its reasons against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from engine.model.decimals import ONE, ZERO
from engine.model.entries import TradingState
from engine.model.ids import MANUAL, symbol_of
from engine.model.instrument import CASH_KINDS, InstrumentKind
from engine.model.margin import most_leverage
from engine.model.order import OrderSide
from engine.model.reserve import reservation
from engine.model.risk import BREAKER_FIELDS, Refusal, RefusalCode
from engine.risk.bot_rules import BOT_RULES
from engine.risk.case import Case
from engine.risk.exposure import is_strategy
from engine.risk.locks import locked
from engine.risk.rules_exposure import exposure, own_limits
from engine.risk.scopes import Scope
from engine.risk.words import amount, percent, plain

__all__ = ["BREAKER_FAILED", "ENTRY_RULES", "Rule"]

BREAKER_FAILED = "failed"
"""Value with which a breaker is tripped that could not be evaluated."""


Rule = Callable[[Case], Iterator[Refusal]]


def trading_state(case: Case) -> Iterator[Refusal]:
    """Halts of any scope around the order, and open breakers."""
    state, account = case.state, case.request.account
    if not state.halts and not state.breakers:
        return
    around = Scope.keys_of(state, case.request.owner, account, case.instrument.id)
    if state.halts:
        for key in around:
            halt = state.halts.get(key)
            if halt is None:
                continue
            word = "halted" if halt.state is TradingState.HALTED else "winding down"
            yield Refusal(
                code=RefusalCode.HALTED if halt.state is TradingState.HALTED else RefusalCode.REDUCING,
                message=f"{Scope.parse(key).words.capitalize()} is {word} ({halt.reason.rstrip('.')}); "
                f"only orders that reduce a position pass.",
                value=key,
            )
    inside = (account, *around)
    for (name, scope), breaker in state.breakers.items():
        if breaker.reduces or scope not in inside:
            continue
        failed = breaker.value == BREAKER_FAILED
        yield Refusal(
            code=RefusalCode.BREAKER_FAILED if failed else RefusalCode.HALTED,
            message=f"The breaker {name.replace('_', ' ')} is open ({breaker.reason.rstrip('.')}); reset it first.",
            limit=breaker.threshold,
            value=breaker.value,
            name=BREAKER_FIELDS.get(name, ""),
        )


def market(case: Case) -> Iterator[Refusal]:
    """The market must be known and fresh, and named prices near it."""
    quote, mark = case.quote, case.mark
    if quote is None or mark is None or mark <= ZERO:
        yield Refusal(
            code=RefusalCode.STALE_MARKET,
            message=f"Nothing is known about the market of {case.instrument.id} yet; wait for its first prices.",
        )
        return
    age = case.now - quote.ts
    if age > case.own.stale_market_ns:
        yield Refusal(
            code=RefusalCode.STALE_MARKET,
            message=f"The market of {case.instrument.id} was last heard {age / 1e9:.1f} s ago, longer than "
            f"{case.own.stale_market_s:g} s; wait for fresh prices.",
            limit=f"{case.own.stale_market_s:g} s",
            value=f"{age / 1e9:.1f} s",
            name="stale_market_s",
        )
    band = case.own.price_band_pct
    for name, price in (("price", case.request.price), ("stop price", case.request.stop_price)):
        if price is None or abs(price - mark) <= band * mark:
            continue
        low, high = (case.instrument.round_price(mark * factor) for factor in (1 - band, 1 + band))
        yield Refusal(
            code=RefusalCode.PRICE_BAND,
            message=f"The {name} {plain(price)} is {percent(abs(price - mark) / mark)} away from the market at "
            f"{plain(mark)}, more than {percent(band)}; allowed is {plain(low)} to {plain(high)}.",
            limit=str(band),
            value=str(price),
            name="price_band_pct",
        )


def dependencies(case: Case) -> Iterator[Refusal]:
    """The venue must be there, and its market heard."""
    why = case.caution.obstacle(case.instrument.id)
    if why:
        yield Refusal(
            code=RefusalCode.UNAVAILABLE,
            message=f"{why} Nothing new is opened there until it is well again; closing and cancelling go on.",
        )


def quantity(case: Case) -> Iterator[Refusal]:
    """The venue's smallest and largest order."""
    wanted, rules, base = case.request.quantity, case.rules, case.instrument.base
    least = rules.min_quantity or rules.lot
    if wanted < least:
        yield Refusal(
            code=RefusalCode.MIN_QUANTITY,
            message=f"The quantity {plain(wanted)} {base} is below the smallest order of {plain(least)} {base}.",
            limit=str(least),
            value=str(wanted),
        )
    if rules.max_quantity and wanted > rules.max_quantity:
        yield Refusal(
            code=RefusalCode.MAX_QUANTITY,
            message=f"The quantity {plain(wanted)} {base} is above the largest order of {plain(rules.max_quantity)} "
            f"{base}; split it.",
            limit=str(rules.max_quantity),
            value=str(wanted),
        )
    if case.expected is not None and rules.min_notional:
        value = case.instrument.notional(case.expected, wanted)
        if value < rules.min_notional:
            yield Refusal(
                code=RefusalCode.MIN_NOTIONAL,
                message=f"The order is worth {amount(value, case.instrument.quote)}, below the smallest value of "
                f"{amount(rules.min_notional, case.instrument.quote)}.",
                limit=str(rules.min_notional),
                value=str(value),
            )


def balance(case: Case) -> Iterator[Refusal]:
    """The account must have the funds that the order holds."""
    currency, held = case.hold
    free = case.picture.free_funds(case.request.account, currency)
    if held > ZERO and held > free:
        yield Refusal(
            code=RefusalCode.INSUFFICIENT_BALANCE,
            message=f"The order needs {amount(held, currency)}; only {amount(free, currency)} is free.",
            limit=str(free),
            value=str(held),
        )


def capital(case: Case) -> Iterator[Refusal]:
    """A bot may spend its own capital with its result so far, and no more."""
    offers_base = case.instrument.kind is InstrumentKind.SPOT and case.request.side is OrderSide.SELL
    budget = case.budgets.budget(case.request.owner) if case.budgets is not None and not offers_base else None
    if budget is None:
        return
    # Capital is not stretched by leverage: the whole value counts.
    currency, unit = reservation(case.request, case.instrument, case.quote)
    held = case.picture.hold_change(case.request, currency, unit, case.replaces)
    rate = case.picture.rates.rate(currency, budget.currency, case.instrument.venue)
    missing = budget.missing if rate is not None else (*budget.missing, currency)
    if rate is None or missing:
        yield Refusal(
            code=RefusalCode.EVALUATION_FAILED,
            message=f"The capital of {budget.owner} cannot be valued: no price is known for {', '.join(missing)}.",
        )
    elif held > ZERO and held * rate > budget.free:
        yield Refusal(
            code=RefusalCode.INSUFFICIENT_CAPITAL,
            message=f"The order needs {amount(held * rate, budget.currency)} of {budget.owner}'s capital; only "
            f"{amount(budget.free, budget.currency)} of {amount(budget.worth, budget.currency)} is free.",
            limit=str(budget.free),
            value=str(held * rate),
        )


def positions(case: Case) -> Iterator[Refusal]:
    """How many positions there may be in all, and of one owner in one symbol."""
    grows, own_grows = (after > before for before, after in (case.units, case.own_units))
    if not (grows or own_grows):
        return
    here = (case.request.account, case.instrument.id)
    taken = case.picture.positions() - {here}
    most = case.limits.max_total_positions
    if grows and len(taken) >= most:
        yield Refusal(
            code=RefusalCode.POSITIONS,
            message=f"{len(taken)} positions are open or being opened, the limit is {most} (max_total_positions "
            "on Risk); close one first.",
            limit=str(most),
            value=str(len(taken) + 1),
            name="max_total_positions",
        )
    symbol, owner, most = symbol_of(case.instrument.id), case.request.owner, case.limits.max_positions_per_symbol
    same = sum(
        1
        for account, instrument in taken
        # Most are told apart by their end, which costs less.
        if instrument.endswith(symbol)
        and symbol_of(instrument) == symbol
        and case.picture.has_entry(owner, account, instrument)
    )
    if same >= most:
        yield Refusal(
            code=RefusalCode.POSITIONS,
            message=f"{case.who} already has {same} position{'s' if same > 1 else ''} in {symbol} elsewhere, the limit "
            f"per symbol is {most}; close that one, or raise max_positions_per_symbol on Risk (`quarterdeck risk "
            "set-limits`).",
            limit=str(most),
            value=str(same + 1),
            name="max_positions_per_symbol",
        )
    yield from _own_positions(case)


def _own_positions(case: Case) -> Iterator[Refusal]:
    """How many positions one bot may have: the limit of strategies, or its own stricter one."""
    owner, here = case.request.owner, (case.request.account, case.instrument.id)
    if not is_strategy(owner):
        return
    most = min(case.own.max_positions_per_strategy, case.own.max_total_positions)
    held = len(case.picture.positions_of(owner) - {here})
    if held >= most:
        yield Refusal(
            code=RefusalCode.POSITIONS,
            message=f"{case.who} already has {held} position{'s' if held > 1 else ''}, the limit of one bot is {most} "
            "(max_positions_per_strategy on Risk, or its own); close one first.",
            limit=str(most),
            value=str(held + 1),
            name="max_positions_per_strategy",
        )


def short(case: Case) -> Iterator[Refusal]:
    """Nobody sells what they do not have, unless the instrument and the limits allow shorts."""
    request, instrument = case.request, case.instrument
    spot = instrument.kind is InstrumentKind.SPOT
    if request.side is OrderSide.BUY or (not spot and case.own.allow_short) or (spot and request.owner == MANUAL):
        return
    line = case.picture.scope_line(request.owner, request.account, instrument.id)
    there = line.quantity - line.sells
    if spot:
        # What was bought with one currency may be sold for another one.
        there = case.picture.coins_of(request.owner, request.account, instrument.base)
    if there - case.added >= ZERO:
        return
    yield Refusal(
        code=RefusalCode.SHORT,
        message=f"{case.who} holds {plain(max(line.quantity, ZERO))} {instrument.base} in {instrument.id} and "
        f"already offers {plain(line.sells)}; selling {plain(request.quantity)} more would be a short"
        + (
            ", which spot does not have."
            if spot
            else ", which the limits do not allow; set allow_short = true on Risk (`quarterdeck risk set-limits`)."
        ),
        limit=str(there),
        value=str(request.quantity),
        name="" if spot else "allow_short",
    )


def leverage(case: Case) -> Iterator[Refusal]:
    """Leverage within the limits and within what the venue allows for a position of this size."""
    setting, most = case.setting, case.own.max_leverage
    if setting.leverage > most:
        yield Refusal(
            code=RefusalCode.LEVERAGE,
            message=f"{case.instrument.id} is set to {plain(setting.leverage)}x, more than the limit of "
            f"{plain(most)}x; set it lower, or raise max_leverage on Risk.",
            limit=str(most),
            value=str(setting.leverage),
            name="max_leverage",
        )
    tiers = case.rules.margin
    if case.instrument.kind in CASH_KINDS or case.mark is None or not tiers:
        return
    _, after = case.units
    allowed = most_leverage(tiers, case.instrument.notional(case.mark, after), after)
    if setting.leverage > allowed:
        yield Refusal(
            code=RefusalCode.LEVERAGE,
            message=f"{case.instrument.venue} allows {plain(allowed)}x for a position of {plain(after)} contracts in "
            f"{case.instrument.id}, which is set to {plain(setting.leverage)}x.",
            limit=str(allowed),
            value=str(setting.leverage),
        )


def one_way(case: Case) -> Iterator[Refusal]:
    """In a derivative an account has one position: nobody opens against what somebody else holds there."""
    request, instrument = case.request, case.instrument
    if instrument.kind in CASH_KINDS:
        return
    for owner, line in sorted(case.picture.commitments.parts(request.account, instrument.id).items()):
        opposite = line.quantity * request.side.sign < ZERO
        if owner == request.owner or request.owner == MANUAL or not opposite:
            continue
        bot = case.state.bots.get(owner)
        yield Refusal(
            code=RefusalCode.OPPOSED,
            message=f"{bot.name if bot is not None else owner} holds {plain(line.quantity)} contracts of "
            f"{instrument.id} the other way, and the account has one position there; use another instrument or "
            "account.",
            value=owner,
        )
        return


def rate(case: Case) -> Iterator[Refusal]:
    """How fast an owner sends orders."""
    refusal = case.throttle.refusal(case.request.owner, case.now, case.own)
    if refusal is not None:
        yield refusal


def others_coins(case: Case) -> Iterator[Refusal]:
    """A manual order on spot sells what is the operator's, not what a bot bought."""
    request, base = case.request, case.instrument.base
    if request.owner != MANUAL or request.side is OrderSide.BUY or case.instrument.kind is not InstrumentKind.SPOT:
        return
    held = case.picture.bots_free(request.account, base)
    most = case.picture.free_units(MANUAL, request.account, base)
    needed = case.picture.hold_change(request, base, ONE, case.replaces)
    # More than is free at all is the balance's business.
    if not most < needed <= case.state.balance(request.account, base).free:
        return
    bots = case.state.bots
    whose = ", ".join(
        f"{plain(units)} {base} to the bot {bots[owner].name if owner in bots else owner}"
        for owner, units in sorted(held.items())
    )
    yield Refusal(
        code=RefusalCode.INSUFFICIENT_BALANCE,
        message=f"By hand {plain(max(most, ZERO))} {base} can be sold: of what is free in the account belong {whose}. "
        f"Close a bot's position as that bot's.",
        limit=str(most),
        value=str(needed),
    )


ENTRY_RULES: tuple[Rule, ...] = (
    trading_state,
    locked,
    dependencies,
    market,
    quantity,
    balance,
    others_coins,
    capital,
    exposure,
    own_limits,
    positions,
    short,
    leverage,
    one_way,
    *BOT_RULES,
    rate,
)
"""All rules, in the order in which their reasons are listed."""

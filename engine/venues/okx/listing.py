"""OKX's instruments as model objects: symbols, rules, contract sizes, fees, margin tiers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.errors import DataValidationError
from engine.model.ids import Currency, InstrumentId, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.margin import MarginTier
from engine.venues.native.catalogue import unlisted
from engine.venues.okx.messages import FeeRow, InstrumentRow, TierRow, exact, maybe
from engine.venues.okx.tables import DEFAULT_FEES, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "Fees",
    "Listing",
    "family_of",
    "is_foreign",
    "named",
    "parse_fees",
    "parse_instrument",
    "parse_instruments",
    "parse_tiers",
]

Listing = tuple[str, Instrument]
"""OKX's own name of an instrument, such as `BTC-USDT-SWAP`, and what it is."""


class Fees:
    """Fees by kind and group of instruments, as fractions of the notional: cost positive, rebate negative.

    Args:
        by_group: (maker, taker) by (`instType`, group); the empty group stands for all that are not named.
    """

    def __init__(self, by_group: Mapping[tuple[str, str], tuple[Decimal, Decimal]] | None = None) -> None:
        self._by_group = dict(by_group or {})

    def of(self, row: InstrumentRow) -> tuple[Decimal, Decimal]:
        """(maker, taker) of an instrument."""
        quote = row.quote_ccy or row.settle_ccy
        for group in (f"id {row.group_id}", quote, ""):
            found = self._by_group.get((row.inst_type, group))
            if found is not None:
                return found
        return DEFAULT_FEES.get(row.inst_type, (Decimal(0), Decimal(0)))

    def __or__(self, other: Fees) -> Fees:
        return Fees(self._by_group | other._by_group)


def parse_fees(rows: Iterable[FeeRow]) -> Fees:
    """What an account pays. OKX writes a fee as negative and a rebate as positive."""
    found: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for row in rows:
        pairs = {"": (row.maker, row.taker)}
        if row.inst_type == "SWAP":
            # `maker` is for contracts settled in coins here, which are not traded.
            pairs = {"": (row.maker_u or row.maker, row.taker_u or row.taker)}
        pairs |= {"USDT": (row.maker_u, row.taker_u), "USDC": (row.maker_usdc, row.taker_usdc)}
        pairs |= {f"id {group.group_id}": (group.maker, group.taker) for group in row.fee_group if group.group_id}
        for group, (maker, taker) in pairs.items():
            if maker and taker:
                found[row.inst_type, group] = -exact(maker), -exact(taker)
    return Fees(found)


def parse_tiers(rows: Iterable[TierRow]) -> dict[str, tuple[MarginTier, ...]]:
    """Margin tiers by instrument family, such as `BTC-USDT`, the smallest first."""
    found: dict[str, list[MarginTier]] = {}
    for row in rows:
        tier = MarginTier(
            maintenance=exact(row.mmr), max_leverage=exact(row.max_lever), from_quantity=exact(row.min_sz)
        )
        found.setdefault(row.inst_family or row.uly, []).append(tier)
    return {family: tuple(sorted(tiers, key=lambda t: t.from_quantity)) for family, tiers in found.items()}


def parse_instruments(
    venue: VenueId,
    rows: Iterable[InstrumentRow],
    fees: Fees,
    tiers: Mapping[str, Sequence[MarginTier]],
    now: int,
) -> list[Listing]:
    """What is known of a list of instruments, whether or not it can be traded now.

    Args:
        venue: Whose they become.
        rows: As OKX lists them.
        fees: What the account pays.
        tiers: Margin tiers by family, as far as they are known.
        now: UTC nanoseconds from which on the rules hold.
    """
    listings = (parse_instrument(venue, row, fees, tiers.get(family_of(row), ()), now) for row in rows)
    return [listing for listing in listings if listing is not None]


def is_foreign(row: InstrumentRow) -> bool:
    """Whether an instrument is of a kind that is never traded here, such as swaps that are settled in coins."""
    return row.inst_type not in KINDS or (row.inst_type == "SWAP" and row.ct_type == "inverse")


def is_ours(kind: str, symbol: str) -> bool:
    """Whether a row may be about what is traded here, by its `instType` (where it says) and `instId`."""
    return kind in ("", *KINDS) and not symbol.endswith("-USD-SWAP")


def named(venue: VenueId, symbol: str) -> Instrument | None:
    """What a symbol that is not listed was, as far as its name says for certain; for look-ups only."""
    match symbol.split("-"):
        case [base, quote] if base and quote:
            return unlisted(venue, InstrumentKind.SPOT, base, quote)
        case [base, "USDT" | "USDC" as quote, "SWAP"] if base:
            return unlisted(venue, InstrumentKind.LINEAR_PERPETUAL, base, quote)
        case _:
            return None


def parse_instrument(
    venue: VenueId, row: InstrumentRow, fees: Fees, tiers: Sequence[MarginTier], now: int
) -> Listing | None:
    """One instrument, live or not; None for a kind that is not offered, or one without complete rules.

    A swap is offered when it is linear and settled in its quote currency.
    """
    if row.inst_type not in KINDS:
        return None
    names = _spot(row) if row.inst_type == "SPOT" else _swap(row)
    tick, lot = maybe(row.tick_sz), maybe(row.lot_sz)
    if names is None or not tick or not lot:
        return None
    base, quote, symbol, multiplier = names
    maker, taker = fees.of(row)
    rules = InstrumentRules(
        valid_from=now,
        price_tick=tick,
        lot=lot,
        min_quantity=exact(row.min_sz),
        max_quantity=_most(row),
        maker_fee=maker,
        taker_fee=taker,
        margin=tuple(tiers) if row.inst_type == "SWAP" else (),
    )
    instrument = Instrument(
        id=InstrumentId(instrument_id(venue, symbol)),
        venue=venue,
        symbol=symbol,
        kind=KINDS[row.inst_type],
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(rules,),
        multiplier=multiplier,
        price_scale=_places(tick),
        quantity_scale=_places(lot),
    )
    return row.inst_id, instrument


def family_of(row: InstrumentRow) -> str:
    """Whose margin tiers go for a swap."""
    return row.inst_family or row.uly


def _spot(row: InstrumentRow) -> tuple[str, str, str, Decimal] | None:
    if not row.base_ccy or not row.quote_ccy:
        return None
    return row.base_ccy, row.quote_ccy, f"{row.base_ccy}/{row.quote_ccy}", Decimal(1)


def _swap(row: InstrumentRow) -> tuple[str, str, str, Decimal] | None:
    base, _, quote = row.uly.partition("-")
    value, times = maybe(row.ct_val), maybe(row.ct_mult)
    if row.ct_type != "linear" or not value or not times or row.ct_val_ccy != base or row.settle_ccy != quote:
        return None
    return base, quote, f"{base}/{quote}:{quote}", value * times


def _most(row: InstrumentRow) -> Decimal:
    """Largest order: a swap's market orders may be smaller than its limit orders; a spot one's limit is in dollars."""
    most = exact(row.max_lmt_sz)
    market = exact(row.max_mkt_sz) if row.inst_type == "SWAP" else Decimal(0)
    return min(most, market) if most and market else most or market


def _places(step: Decimal) -> int:
    """Decimal places of a step."""
    exponent = step.normalize().as_tuple().exponent
    if not isinstance(exponent, int):
        raise DataValidationError(f"OKX sent the step {step}, which is no number.")
    return max(0, -exponent)

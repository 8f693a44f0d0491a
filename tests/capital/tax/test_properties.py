"""Over random histories: the rows add up to the ledger, and the lots that are left to the balances."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.capital.tax.book import TaxBook
from engine.capital.tax.lots import CENT, METHODS
from engine.capital.tax.report import tax_report
from engine.model.decimals import ZERO, exact
from engine.model.ids import Currency
from engine.state import EngineState
from tests.capital.tax.diary import rows_of
from tests.kit.histories import START, histories

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.capital.tax.lots import LotMethod

USDT = Currency("USDT")
DAY = START // 86_400_000_000_000
RATES = {
    code: [(DAY, D(rate))] for code, rate in (("BTC", "43000.7"), ("ETH", "2300.3"), ("SOL", "97"), ("BNB", "611"))
}
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def kept(records: Iterable[ev.Record]) -> list[ev.Record]:
    """A history without coins that leave for outside, whose cost would leave with them."""
    wanted = [one for one in records if type(one.event) is not ev.Withdrawn or one.event.currency == USDT]
    return [msgspec.structs.replace(one, seq=number) for number, one in enumerate(wanted, start=1)]


@RELAXED
@given(histories(60, 200), st.sampled_from(METHODS), st.booleans())
def test_whatever_happens_the_lots_are_what_is_booked(
    records: list[ev.Record], method: LotMethod, by_account: bool
) -> None:
    found = tax_report(records, year=2023, method=method, currency=USDT, by_account=by_account)
    assert found.differences == ()


@RELAXED
@given(histories(60, 200), st.sampled_from(METHODS), st.booleans())
def test_the_rows_add_up_to_the_ledger(records: list[ev.Record], method: LotMethod, by_account: bool) -> None:
    records = kept(records)
    state, book = EngineState(), TaxBook(USDT, method, rates=RATES, by_account=by_account)
    for record in records:
        state.apply(record)
        book.hear(record)
    report = tax_report(records, year=2023, method=method, currency=USDT, rates=RATES, by_account=by_account)
    rows = rows_of(report)
    with exact():
        gains: dict[str, D] = {}
        for row in rows:
            assert D(row["gain"]) == D(row["proceeds"]) - D(row["cost"])
            gains[row["kind"]] = gains.get(row["kind"], ZERO) + D(row["gain"])
        assert report.gain == sum(gains.values(), ZERO)
        sums = [of for (_, currency), of in state.sums.items() if currency == USDT]
        assert gains.get("funding", ZERO) == -sum(one.funding for one in sums)
        assert gains.get("interest", ZERO) == -sum(one.interest for one in sums)
        derivatives = [one for (_, what), one in state.positions.items() if what.endswith("-PERP")]
        paid = sum((D(row["proceeds"]) for row in rows if row["kind"] == "derivative"), ZERO)
        assert paid == sum((one.realised for one in derivatives), ZERO)
        # What came from outside, and every gain, is cash now, or lies in lots at what they cost.
        outside = sum((one.deposits + one.adjustments for one in sums), ZERO)
        for record in records:
            event = record.event
            if type(event) is ev.Deposited and event.currency != USDT:
                outside += (event.amount * RATES[event.currency][0][1]).quantize(CENT)
        cash = sum((held[USDT].total for held in state.balances.values() if USDT in held), ZERO)
        lots = sum((lots.cost or ZERO for lots in book.lots.values()), ZERO)
        owed = sum((debt.cost or ZERO for lots in book.lots.values() for debt in lots.owed), ZERO)
        assert outside + report.gain == cash + lots - owed

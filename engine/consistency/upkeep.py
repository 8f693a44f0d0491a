"""Puts together what keeps the books of one account in line with its venue."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.consistency.monitor import Monitor
from engine.consistency.recovery import Recovery
from engine.execution.accounts import Accounts

if TYPE_CHECKING:
    from engine.execution.derivatives import Derivatives
    from engine.execution.dispatcher import Dispatcher
    from engine.ledger import Ledger
    from engine.model.ids import AccountId
    from engine.model.venue import Venue
    from engine.resilience.handler import ErrorHandler
    from engine.resilience.settings import ConsistencySettings
    from engine.risk.department import RiskDepartment
    from storage.journal.engine_journal import Start

__all__ = ["Upkeep", "upkeep"]


class Upkeep(NamedTuple):
    """What opens and compares an account, what verifies a start, and what checks the state from then on."""

    accounts: Accounts
    recovery: Recovery
    monitor: Monitor


def upkeep(
    ledger: Ledger,
    dispatcher: Dispatcher,
    risk: RiskDepartment,
    venue: Venue,
    account: AccountId,
    start: Start,
    figures: ConsistencySettings,
    errors: ErrorHandler,
    derivatives: Derivatives | None = None,
) -> Upkeep:
    """Make all three over the same books."""
    accounts = Accounts(ledger, dispatcher.inquiry, derivatives)
    return Upkeep(
        accounts,
        Recovery(ledger, accounts, start, risk.hold),
        Monitor(ledger, dispatcher, accounts, risk, venue, account, figures, errors, derivatives),
    )

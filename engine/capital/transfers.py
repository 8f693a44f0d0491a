"""Money that comes in, leaves, or goes from one account to another: planned, and booked when it has moved.

Nothing here sends money. On paper the market's own books are changed at once; at an exchange a person sends it, and the
next comparison of balances finds what a plan explains and books it as what it is.
"""

from __future__ import annotations

import decimal
import secrets
from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.capital.amounts import booked
from engine.capital.withdrawals import deposit_flows, withdrawal_flows
from engine.errors import CapitalManagementError, NotFoundError
from engine.logs import get_logger
from engine.model.capital import FlowCause, TransferKind
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from engine.capital.figures import AccountCapital, CapitalFigures
    from engine.ledger import Ledger
    from engine.model.capital import FundFlow, TransferEntry
    from engine.model.ids import AccountId, Currency

__all__ = ["Transfers"]

log = get_logger(__name__)

TOLERANCE = Decimal("0.02")
"""Part of a planned amount by which what moved may differ from it: networks take fees."""


class Transfers:
    """All planned transfers.

    Args:
        ledger: Where facts are booked.
        figures: Capital as it is.
    """

    def __init__(self, ledger: Ledger, figures: CapitalFigures) -> None:
        self._ledger = ledger
        self._figures = figures

    def value(self, account: AccountId, currency: Currency, amount: Decimal) -> Decimal:
        """What an amount is worth in an account's base currency.

        Raises:
            CapitalManagementError: There is no rate.
        """
        known = self._ledger.state.accounts[account]
        if currency == known.base_currency:
            return amount
        rate = self._figures.rates.rate(currency, known.base_currency, known.venue)
        if rate is None:
            raise CapitalManagementError(f"{currency} cannot be valued in {known.base_currency}; watch a market of it.")
        return VIEW.multiply(amount, rate)

    def known(self, account: AccountId) -> AccountCapital:
        """An account's figures.

        Raises:
            CapitalManagementError: It cannot be valued.
        """
        found = self._figures.account(account)
        if found is None:
            raise CapitalManagementError(f"{account} cannot be valued; wait until its markets are heard.")
        return found

    def plan(
        self,
        kind: TransferKind,
        currency: Currency,
        amount: Decimal,
        reason: str,
        actor: str,
        *,
        source: AccountId | None = None,
        target: AccountId | None = None,
    ) -> str:
        """Book that money shall move; returns the id."""
        transfer = f"{kind}-{secrets.token_hex(3)}"
        ends = {"source": source, "target": target}
        self._ledger.record(
            ev.TransferPlanned(
                transfer=transfer, kind=kind, currency=currency, amount=amount, reason=reason, actor=actor,
                **{name: end for name, end in ends.items() if end is not None},
            )
        )  # fmt: skip
        log.info("transfer planned", component="capital", transfer=transfer, amount=str(amount), currency=currency)
        return transfer

    def find(self, transfer: str) -> TransferEntry:
        """A planned transfer.

        Raises:
            NotFoundError: There is none of that id.
        """
        found = self._ledger.state.transfers.get(transfer)
        if found is None:
            known = ", ".join(self._ledger.state.transfers) or "none"
            raise NotFoundError(f"No transfer {transfer!r} is planned; planned is: {known}.")
        return found

    def drop(self, transfer: str, reason: str, actor: str) -> None:
        """Give a planned transfer up. Raises as `find`."""
        self.find(transfer)
        self._ledger.record(ev.TransferEnded(transfer=transfer, arrived=False, reason=reason, actor=actor))

    # --- what has moved ----------------------------------------------------------------------------------------------

    def came_in(self, transfer: str, amount: Decimal, actor: str) -> tuple[FundFlow, ...]:
        """Book a deposit that is there, and spread it over the pools; returns how."""
        planned = self.find(transfer)
        account, currency = planned.target, planned.currency
        value = self.value(account, currency, amount)
        self._ledger.record(ev.Deposited(account=account, currency=currency, amount=amount, reference=transfer))
        self._ledger.record(ev.TransferEnded(transfer=transfer, arrived=True, reason=planned.reason, actor=actor))
        known = self._figures.account(account)
        flows = () if known is None else deposit_flows(self._figures, value, known)
        self._move(account, FlowCause.DEPOSIT, flows, f"{transfer} is spread over the pools", actor)
        return flows

    def make_room(self, transfer: str, value: Decimal, actor: str) -> tuple[FundFlow, ...]:
        """Take from the pools what a withdrawal needs beyond what is free; returns what each gives."""
        account = self.find(transfer).source
        flows = withdrawal_flows(self._figures, value, self.known(account))
        self._move(account, FlowCause.WITHDRAWAL, flows, f"room for {transfer}", actor)
        return flows

    def left(self, transfer: str, amount: Decimal, actor: str) -> None:
        """Book a withdrawal that is gone."""
        planned = self.find(transfer)
        account, currency = planned.source, planned.currency
        value = booked(self.value(account, currency, amount))
        self._ledger.record(ev.Withdrawn(account=account, currency=currency, amount=amount, reference=transfer))
        self._ledger.record(
            ev.TransferEnded(transfer=transfer, arrived=True, value=value, reason=planned.reason, actor=actor)
        )

    def moved(self, transfer: str, actor: str) -> None:
        """Book a transfer between two accounts of paper money, whose both ends are known."""
        planned = self.find(transfer)
        self._ledger.record(
            ev.Transferred(
                source=planned.source, target=planned.target, currency=planned.currency, amount=planned.amount,
                reference=transfer,
            )
        )  # fmt: skip
        self._ledger.record(ev.TransferEnded(transfer=transfer, arrived=True, reason=planned.reason, actor=actor))

    def explain(self, account: AccountId, currency: Currency, amount: Decimal) -> bool:
        """Book a difference between books and venue that a planned transfer explains; False where none does.

        Between two accounts the two ends are seen one after the other: what has left is on its way, outside of both,
        until it arrives.

        Args:
            account: Whose balance differs.
            currency: Which.
            amount: What the venue has more than is booked; negative for less.
        """
        for transfer, planned in tuple(self._ledger.state.transfers.items()):
            if planned.currency != currency or account not in (planned.source, planned.target):
                continue
            came = account == planned.target
            with decimal.localcontext(VIEW):
                off = abs(abs(amount) - planned.amount) > TOLERANCE * planned.amount
            if off or (amount > 0) is not came:
                continue
            if planned.kind is TransferKind.WITHDRAWAL:
                self.left(transfer, -amount, "venue")
            elif planned.kind is TransferKind.DEPOSIT:
                self.came_in(transfer, amount, "venue")
            elif came:
                self._ledger.record(ev.Deposited(account=account, currency=currency, amount=amount, reference=transfer))
                self._ledger.record(ev.TransferEnded(transfer=transfer, arrived=True, actor="venue"))
            elif planned.left:
                continue
            else:
                self._ledger.record(
                    ev.Withdrawn(account=account, currency=currency, amount=-amount, reference=transfer)
                )
                self._ledger.record(ev.TransferLeft(transfer=transfer))
            return True
        return False

    def _move(self, account: AccountId, cause: FlowCause, flows: tuple[FundFlow, ...], reason: str, actor: str) -> None:
        if not flows:
            return
        currency = self._ledger.state.accounts[account].base_currency
        self._ledger.record(
            ev.FundsMoved(account=account, currency=currency, cause=cause, flows=flows, reason=reason, actor=actor)
        )

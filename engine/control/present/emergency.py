"""The views of what is held, and of emergency stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.present.orders import owner_name
from engine.control.views_emergency import HaltRow, StopRow, UnclosableRow
from engine.risk.scopes import Scope, find_scope, scope_name

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.risk.stop_progress import Progress, Unclosable

__all__ = ["halt_rows", "scope_of", "stop_rows"]


def scope_of(engine: Engine, text: str) -> Scope:
    """The scope that a person names; see `find_scope`."""
    return find_scope(text, engine.state, engine.venues, engine.accounts)


def halt_rows(engine: Engine) -> tuple[HaltRow, ...]:
    """Every part of trading that is held, the whole first, then the newest."""
    rows = [
        (key != Scope().key, -halt.since, scope_name(Scope.parse(key), engine.state), halt)
        for key, halt in engine.state.halts.items()
    ]
    return tuple(
        HaltRow(scope=name, trading=halt.state, reason=halt.reason, actor=halt.actor, since=halt.since)
        for *_, name, halt in sorted(rows, key=lambda row: row[:3])
    )


def stop_rows(engine: Engine) -> tuple[StopRow, ...]:
    """Every emergency stop that is not released."""
    return tuple(_stop(engine, progress) for progress in engine.risk.stops)


def _stop(engine: Engine, progress: Progress) -> StopRow:
    return StopRow(
        scope=scope_name(progress.scope, engine.state),
        reason=progress.reason,
        actor=progress.actor,
        began=progress.began,
        done=progress.done,
        orders=progress.orders,
        positions=progress.positions,
        unclosable=tuple(_unclosable(engine, one) for one in progress.left),
        problems=progress.problems,
    )


def _unclosable(engine: Engine, one: Unclosable) -> UnclosableRow:
    mark, instrument = engine.mark(one.instrument), engine.state.instruments[one.instrument]
    return UnclosableRow(
        account=one.account,
        instrument=one.instrument,
        owner=one.owner,
        owner_name=owner_name(engine, one.owner),
        quantity=one.quantity,
        value=None if mark is None else instrument.notional(mark, one.quantity),
        reason=one.reason,
        final=one.final,
    )

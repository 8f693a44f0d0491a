"""Operations on alerts: what a person should know, kept in the report database until somebody has seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID

from engine.control.registry import Role, operation
from engine.control.requests import Empty
from engine.control.requests_listing import SEVERITIES, AcknowledgeAlerts, AlertQuery
from engine.control.requests_research import moment
from engine.control.views_records import AlertEntry, AlertPage, ChannelRow
from engine.errors import ConflictError, NotFoundError, ValidationError

if TYPE_CHECKING:
    from engine.alerts.sender import AlertSender, ChannelHealth
    from engine.control.context import Context
    from storage.database import Database
    from storage.tables import AlertRow

RISK_KINDS = ("breaker", "halt", "liquidation", "lock")
"""Kinds of alerts that are about risk."""
SORTABLE = {
    "ts": "timestamp",
    "kind": "alert_type",
    "severity": "severity",
    "title": "title",
    "acknowledged": "is_read",
}


@operation("alerts.list", AlertQuery, offline=True)
async def list_alerts(context: Context, request: AlertQuery) -> AlertPage:
    """What a person should know, the newest first."""
    return await _page(context, request)


@operation("risk.alerts", AlertQuery, offline=True)
async def risk_alerts(context: Context, request: AlertQuery) -> AlertPage:
    """Alerts about risk: breakers, halts, liquidations, locks; the newest first. Active are those with `unread`."""
    return await _page(context, request, RISK_KINDS)


@operation("alerts.channels", Empty)
async def channels(context: Context, _: Empty) -> list[ChannelRow]:
    """Channels that alerts are sent to, and how they fare; addresses are not shown."""
    return [] if context.sender is None else [_channel(found) for found in context.sender.health()]


@operation("alerts.test", Empty, Role.TRADER, mutates=True)
async def send_test(context: Context, _: Empty) -> list[ChannelRow]:
    """Send a test to every channel now, and tell how that went."""
    return [_channel(found) for found in await _sender(context).test()]


def _sender(context: Context) -> AlertSender:
    if context.sender is None or not context.sender.health():
        raise ConflictError("No channel for alerts is set; write one into alerts.channels, such as ntfy://HOST/TOPIC.")
    return context.sender


def _channel(found: ChannelHealth) -> ChannelRow:
    return ChannelRow(
        name=found.name, sent=found.sent, given_up=found.given_up, waiting=found.waiting, problem=found.problem
    )


@operation("alerts.acknowledge", AcknowledgeAlerts, Role.TRADER, mutates=True, offline=True)
async def acknowledge(context: Context, request: AcknowledgeAlerts) -> str:
    """Note that alerts have been seen, by their ids or all of them."""
    if bool(request.ids) == request.all:
        raise ValidationError("Say which alerts: their ids, or all of them.")
    keys = [_key(text) for text in request.ids]

    async def work(database: Database) -> int:
        from storage.repositories.repository import Repository
        from storage.tables import AlertRow

        async with database.session() as session:
            table = Repository(session, AlertRow)
            query = table.query().equal(is_read=False)
            if keys:
                known = {row.id for row in await table.find(table.query().one_of("id", keys))}
                missing = [str(key) for key in keys if key not in known]
                if missing:
                    raise NotFoundError(f"There is no alert {', '.join(missing)}; `alerts list` shows all of them.")
                query = query.one_of("id", keys)
            rows = await table.find(query)
            await table.update_many({row.id: {"is_read": True} for row in rows})
            return len(rows)

    count = await context.need_reports().run(work)
    return f"{count} alert{'' if count == 1 else 's'} acknowledged."


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError(f"There is no alert {text!r}; `alerts list` shows all of them.") from None


async def _page(context: Context, request: AlertQuery, kinds: tuple[str, ...] = ()) -> AlertPage:
    order = request.sort or "-ts"
    column = SORTABLE.get(order.lstrip("-"))
    if column is None:
        raise ValidationError(f"Alerts cannot be sorted by {order.lstrip('-')!r}; there are {', '.join(SORTABLE)}.")
    wanted = ("-" if order.startswith("-") else "") + column

    async def work(database: Database) -> AlertPage:
        from storage.repositories.repository import Repository
        from storage.tables import AlertRow

        async with database.reading() as session:
            table = Repository(session, AlertRow)
            query = _filtered(table.query(), request, kinds).sorted_by(wanted)
            page = await table.page(query, number=request.page, size=request.limit)
        rows = tuple(_entry(row) for row in page.items)
        return AlertPage(rows=rows, page=page.number, pages=page.pages, total=page.total)

    return await context.need_reports().run(work)


def _filtered(query: Any, request: AlertQuery, kinds: tuple[str, ...]) -> Any:
    from storage.database import utc_from_ns

    if kinds:
        query = query.one_of("alert_type", kinds)
    if request.kind is not None:
        query = query.equal(alert_type=request.kind)
    if request.severity is not None:
        words = get_args(SEVERITIES)
        query = query.one_of("severity", words[words.index(request.severity) :])
    if request.unread:
        query = query.equal(is_read=False)
    if request.text:
        query = query.containing("message", request.text)
    if request.since is not None:
        query = query.within("timestamp", utc_from_ns(request.since))
    return query


def _entry(row: AlertRow) -> AlertEntry:
    fact = row.details.get("fact")
    return AlertEntry(
        id=str(row.id),
        ts=int(moment(row.timestamp)),
        kind=row.alert_type,
        severity=str(row.severity),
        title=row.title,
        message=row.message,
        acknowledged=row.is_read,
        fact=fact if isinstance(fact, int) else 0,
    )

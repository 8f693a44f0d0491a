"""A tear sheet as one HTML file: everything inside it, nothing fetched from anywhere, light and dark."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

from engine.backtest.analysis.svg import bands, bars, lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["html_page"]

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--text:#1b1f24;--muted:#5c6670;--rule:#d8dee4;--first:#0b63b0;--second:#8a6d1f;
--good:#12733a;--bad:#b3261e;--good-bg:18,115,58;--bad-bg:179,38,30}
@media (prefers-color-scheme:dark){:root{--bg:#14171a;--text:#e3e7eb;--muted:#98a2ad;--rule:#30363d;--first:#62aef0;
--second:#d9b44a;--good:#5fc486;--bad:#f2857c;--good-bg:95,196,134;--bad-bg:242,133,124}}
body{background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif;margin:0 auto;
max-width:960px;padding:24px}
h1{font-size:24px;margin:0}h2{font-size:17px;margin:32px 0 8px}p{margin:4px 0}.muted{color:var(--muted)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:3px 8px;text-align:right;border-bottom:1px solid var(--rule)}
th:first-child,td:first-child{text-align:left}
th{font-weight:600;color:var(--muted)}.wide{overflow-x:auto}.figures{columns:3 260px;column-gap:24px}
.figures div{display:flex;justify-content:space-between;break-inside:avoid;border-bottom:1px solid var(--rule)}
.good{color:var(--good)}.bad{color:var(--bad)}.warn::before{content:"! ";color:var(--bad);font-weight:700}
svg{width:100%;height:auto}svg text{fill:var(--muted);font-size:12px}.grid{stroke:var(--rule);stroke-width:1}
.line{fill:none;stroke-width:1.6}.line.first{stroke:var(--first)}.line.second{stroke:var(--second)}
.line.bad{stroke:var(--bad)}.area{opacity:.25}.area.bad{fill:var(--bad)}.bar.first{fill:var(--first)}
.bar.bad{fill:var(--bad)}.band{fill:var(--first);opacity:.16}.key::before{content:"";display:inline-block;width:14px;
height:3px;margin-right:6px;vertical-align:middle;background:currentColor}
.key.first{color:var(--first)}.key.second{color:var(--second);margin-left:16px}
@media (max-width:640px){body{padding:12px}}
"""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SHARES = ("return", "drawdown", "volatility", "risk", "shortfall", "win_rate", "exposure", "alpha", "capture", "_days")
_HIDDEN = frozenset(
    {"required_sharpe", "max_drawdown_limit", "passed", "max_drawdown_start", "max_drawdown_trough",
     "max_drawdown_recovery", "winning_trades", "losing_trades"}
)  # fmt: skip
_PARTS = ("side", "symbol", "regime", "entry_tag", "exit_reason", "weekday", "hour")
_TRADES = 200


def html_page(sheet: dict[str, Any]) -> str:
    """The page.

    Args:
        sheet: Of `tear_sheet`, with `run`, `params`, `assumptions`, `metrics` and `trades`; `montecarlo` and
            `significance` where those analyses are stored.
    """
    run, curve, rolling, spread = sheet["run"], sheet["curve"], sheet["rolling_sharpe"], sheet["distribution"]
    curves = {"second": curve["benchmark"], "first": curve["equity"]}
    fall = lines("Drawdown", curve["ts"], {"bad": curve["drawdown"]}, _share, filled=True, height=180)
    title = f"{run['strategy']} on {run['market']}"
    head = (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{escape(title)}</title><style>{_STYLE}</style></head>'
    )
    body = [
        f'<body><h1>{escape(title)}</h1><p class="muted">{_day(run["start"])} to {_day(run["end"])}, run '
        f'{escape(run["id"])}, hash {escape(run["hash"])}</p>',
        f'<p class="muted">{escape(", ".join(f"{name}={value}" for name, value in sheet["params"].items()))}</p>',
        _warnings(sheet["assumptions"]),
        _section("Figures", _figures(sheet)),
        _section(
            "Equity",
            '<p><span class="key first">equity</span><span class="key second">bought and held</span></p>'
            + lines("Equity and benchmark", curve["ts"], curves, _money),
        ),
        _section("Drawdown", fall),
        _section("Deepest drawdowns", _falls(sheet["drawdowns"])),
        _section("Returns by month", _months(sheet["months"], sheet["years"])),
        _section(
            f"Sharpe ratio of the last {rolling['days']} days",
            lines("Rolling Sharpe ratio", rolling["ts"], {"first": rolling["values"]},
                  _plain, height=180),
        ),
        _section(
            "Daily returns",
            bars("Distribution of daily returns", spread["edges"], spread["counts"], _share),
        ),
        *_analyses(sheet),
        *(
            _section(f"By {name.replace('_', ' ')}", _groups(sheet["breakdowns"][name]))
            for name in _PARTS
            if sheet["breakdowns"].get(name)
        ),
        _section("Trades", _trades(sheet["trades"])),
        _section("What was assumed", _assumptions(sheet["assumptions"])),
        "</body></html>\n",
    ]  # fmt: skip
    return head + "".join(body)


# --- parts -----------------------------------------------------------------------------------------------------------


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _warnings(assumptions: dict[str, str]) -> str:
    found = [text for name, text in assumptions.items() if name.startswith("warning_")]
    return "".join(f'<p class="warn">{escape(text)}</p>' for text in found)


def _assumptions(assumptions: dict[str, str]) -> str:
    rows = [(name.replace("_", " "), text) for name, text in assumptions.items() if not name.startswith("warning_")]
    return "".join(f'<p><span class="muted">{escape(name)}</span> {escape(text)}</p>' for name, text in rows)


def _figures(sheet: dict[str, Any]) -> str:
    figures = {name: value for name, value in sheet["metrics"].items() if name not in _HIDDEN}
    figures |= {name: value for name, value in sheet["relative"].items() if name not in figures}
    figures["sharpe_above_0"] = sheet["sharpe"]["probabilistic"]
    cells = [
        f"<div><span>{escape(name.replace('_', ' '))}</span><span>{_figure(name, value)}</span></div>"
        for name, value in figures.items()
    ]
    return f'<div class="figures">{"".join(cells)}</div>'


def _figure(name: str, value: Any) -> str:
    if value is None:
        return "—"
    is_share = any(part in name for part in _SHARES) and name not in ("up_days", "down_days", "max_drawdown_days")
    return _share(value) if is_share or name == "sharpe_above_0" else f"{value:,.2f}"


def _months(months: Sequence[dict[str, Any]], years: Sequence[dict[str, Any]]) -> str:
    """A heat table, one row a year."""
    if not months:
        return ""
    known = {month["month"]: month["return"] for month in months}
    largest = max((abs(value) for value in known.values() if value is not None), default=0.0) or 1.0
    rows = []
    for year in years:
        cells = [_heat(known.get(f"{year['year']}-{number:02d}"), largest) for number in range(1, 13)]
        rows.append(f"<tr><td>{year['year']}</td>{''.join(cells)}<td>{_share(year['return'])}</td></tr>")
    head = "".join(f"<th>{name}</th>" for name in _MONTHS)
    return f'<div class="wide"><table><tr><th></th>{head}<th>Year</th></tr>{"".join(rows)}</table></div>'


def _heat(value: float | None, largest: float) -> str:
    if value is None:
        return "<td></td>"
    colour = "good" if value >= 0 else "bad"
    return f'<td style="background:rgba(var(--{colour}-bg),{0.45 * abs(value) / largest:.2f})">{value:.1%}</td>'


def _falls(falls: Iterable[dict[str, Any]]) -> str:
    return _table(
        ("from", "trough", "recovered", "depth", "days"),
        [
            (_day(fall["start"]), _day(fall["trough"]), "never" if fall["recovery"] is None else _day(fall["recovery"]),
             _share(-fall["depth"]), f"{fall['days']:,.0f}")
            for fall in falls
        ],
    )  # fmt: skip


def _groups(rows: Iterable[dict[str, Any]]) -> str:
    return _table(
        ("", "trades", "profit", "won", "mean", "profit factor", "best", "worst"),
        [
            (str(row["key"]).split(" ", 1)[-1] if str(row["key"])[:1].isdigit() and " " in str(row["key"])
             else str(row["key"]), f"{row['trades']:,}", _signed(row["pnl"]), _share(row["win_rate"]),
             _share(row["mean_return"]), _number(row["profit_factor"]), _signed(row["best"]), _signed(row["worst"]))
            for row in rows
        ],
    )  # fmt: skip


def _trades(trades: Sequence[dict[str, Any]]) -> str:
    shown = trades[-_TRADES:]
    note = f'<p class="muted">The last {len(shown)} of {len(trades):,}.</p>' if len(shown) < len(trades) else ""
    return note + _table(
        ("entry (UTC)", "exit (UTC)", "side", "quantity", "entry", "exit", "fees", "profit", "opened by", "closed by"),
        [
            (trade["entry_time"][:16].replace("T", " "), trade["exit_time"][:16].replace("T", " "), trade["side"],
             f"{trade['quantity']:.8g}", f"{trade['entry_price']:.8g}", f"{trade['exit_price']:.8g}",
             f"{trade['fees']:.2f}", _signed(trade["pnl"]), trade["entry_reason"] or "", trade["reason"])
            for trade in shown
        ],
    )  # fmt: skip


def _analyses(sheet: dict[str, Any]) -> list[str]:
    parts = []
    chance = sheet.get("significance")
    if chance:
        parts.append(_section("Significance", f"<p>{escape(chance['verdict'])}</p>"))
    paths = sheet.get("montecarlo")
    if paths:
        for name, scenario in paths["scenarios"].items():
            fan, chances = scenario["fan"], scenario["probabilities"]
            words = (
                f"{paths['iterations']:,} paths ({paths['method']}): {chances['loss']:.1%} lose, "
                f"{chances['drawdown_limit']:.1%} exceed the drawdown limit. Bands hold 98 %, 90 % and 50 % of them."
            )
            parts.append(
                _section(
                    f"Monte Carlo, {name}", f"<p>{escape(words)}</p>" + bands(name, fan["ts"], fan["equity"], _money)
                )
            )
    return parts


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines_ = "".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{top}</tr>{lines_}</table></div>'


def _cell(value: str) -> str:
    kind = "good" if value.startswith("+") else "bad" if value.startswith("−") else ""
    return f'<td class="{kind}">{escape(value)}</td>' if kind else f"<td>{escape(value)}</td>"


# --- words -----------------------------------------------------------------------------------------------------------


def _day(ts: int) -> str:
    return f"{datetime.fromtimestamp(ts // 10**9, UTC):%Y-%m-%d}"


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:,.2f}"


def _signed(value: float) -> str:
    return f"+{value:,.2f}" if value > 0 else f"−{-value:,.2f}" if value < 0 else "0.00"


def _money(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.2f}"


def _plain(value: float) -> str:
    return f"{value:g}"

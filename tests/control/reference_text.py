"""The parts of docs/control-api.md that people write; the tables between them are made from the code."""

from __future__ import annotations

from engine.control.protocol import DEAD_S, HEARTBEAT_S, HELLO_S, MAX_BYTES, PROTOCOL
from engine.control.session import MOST_CALLS, MOST_TOPICS
from engine.control.streams import MOST_BEHIND

__all__ = ["AFTER_TOPICS", "HEAD"]

HEAD = f"""# The control interface

Everything that a person or a program can do to an engine is an *operation*; everything that can be watched is a
*topic*. The console, the command line and every program use the same tables. This page is made from them:
`python -m tests.control.test_reference` writes it anew, and a test compares it. The engine tells the same by itself,
with JSON Schemas of all values: `quarterdeck api describe --json`.

## The command line

Every operation is a command, `quarterdeck NOUN VERB`. Its fields are options; the main ones stand without a name.

```
quarterdeck bots create trend-1 trend_following SIM:BTC/USDT --capital 2000 --param fast_ma=20
quarterdeck bots start trend-1 --yes
quarterdeck orders preview buy 0.01 SIM:BTC/USDT
quarterdeck orders place buy 0.001 SIM:BTC/USDT --limit 60000
quarterdeck orders list --owner manual --sort -created --json
quarterdeck orders cancel-all --instrument SIM:BTC/USDT --yes
quarterdeck risk halt --reason "lunch" --yes
quarterdeck risk set-limits max_total_positions=4 --yes --request-id limits-of-monday
quarterdeck config set journal.hot_days=30
quarterdeck strategies backtest trend_following --venue binance --symbol BTC/USDT --follow
quarterdeck watch market.book --filter instrument=SIM:BTC/USDT --filter depth=5
quarterdeck watch facts.activity --since 1200
quarterdeck watch facts.activity --filter owner=trend-1 --filter severity=warning
quarterdeck api describe orders
```

- `--json` prints exactly what the wire carries. Without it, amounts have units, signs and groups of thousands,
  fractions are percentages, and times are UTC and say so.
- An operation that is to be confirmed shows exactly what will be sent and asks; an order also shows what it would come
  to. `--yes` agrees beforehand, for scripts; without it and without a terminal nothing is sent.
- An operation that changes something is sent under a request id: one of its own, or that of `--request-id`.
- What is printed is the result alone; questions, progress and errors go to standard error.
- Operations marked *without an engine too* work in the home folder by themselves when no engine runs.

## Panic

`quarterdeck panic` cancels every order of yours and closes every position; trading stays halted.

```
quarterdeck panic
quarterdeck panic --direct --yes --json
quarterdeck panic --direct --without-journal
```

The engine is asked first and has two seconds. `--direct` kills one that does not answer, also one that is stopped or
has died, takes its home folder over so that no other can start, and does its work: the journal's next epoch,
reconciliation with all venues beside each other, at each of them then at once the same emergency stop, every step of
it journalled before it is sent and no bot brought back. When the journal cannot be used, nothing is sent, unless
`--without-journal` is said: then nobody knows what is yours, so every order of the account is cancelled and every
coin that trades against its base currency sold. What a venue fails to answer is asked again, a market whose closing
orders have ended is sold into again (not sooner: an order without an answer is asked for, never sent twice), both
until nothing is left or `--wait` is over, and no venue or account waits for another. What is refused five times in a
row, which a rest of little value is, is named as left. `logs/panic.log` has every request before it is sent. What is
done is said on standard error while it is done. The exit status is 0 when nothing of yours is open any more, 1 when
something is left, which is named, and 3 when no engine was reached and `--direct` was not said.

## The socket

JSON-RPC 2.0 in WebSocket text frames, uncompressed and of at most {MAX_BYTES // 1024**2} MiB, on the unix socket
`run/engine.sock` of the home folder. The folder (0700) and the socket (0600) are their owner's alone, and the kernel is
asked who is at the other end. A request that changes something carries its id beside the parameters, as `request_id`.

```
> {{"jsonrpc":"2.0","id":1,"method":"hello","params":{{"proto":{PROTOCOL},"client":"mine","release":"2.0.0","pid":7}}}}
< {{"jsonrpc":"2.0","id":1,"result":{{"proto":{PROTOCOL},"release":"2.0.0","pid":5,"client_id":"c1","role":"admin",…}}}}
> {{"jsonrpc":"2.0","id":2,"method":"risk.halt","params":{{"reason":"lunch"}},"request_id":"5f2c"}}
< {{"jsonrpc":"2.0","id":2,"result":{{…}}}}
> {{"jsonrpc":"2.0","id":3,"method":"orders.cancel","params":{{"client_id":"nothing"}},"request_id":"5f2d"}}
< {{"jsonrpc":"2.0","id":3,"error":{{"code":-32003,"message":"…","data":{{"kind":"not_found",…}}}}}}
> {{"jsonrpc":"2.0","id":4,"method":"stream.subscribe","params":{{"sub":1,"topic":"facts.activity","since":1200}}}}
< {{"jsonrpc":"2.0","id":4,"result":{{"sub":1}}}}
< {{"jsonrpc":"2.0","method":"facts","params":{{"sub":1,"after":1200,"cursor":1203,"snapshot":false,"facts":[…]}}}}
```

- **Hello and welcome** are said within {HELLO_S:g} s and before anything else. `read_only` in the hello asks for the
  right to look only, which the engine enforces. The welcome names protocol, release, process, mode, account, the
  journal's instance and epoch, and the role.
- **Versions.** `proto` is {PROTOCOL}. When the two sides differ, the newer one words a sentence that names the older,
  and `engine.status`, `orders.cancel_all`, `risk.halt`, `risk.emergency_stop` and `engine.stop` go on working. A client
  ignores members that it does not know, an engine refuses them.
- **Roles.** *viewer* looks, *trader* trades, *admin* sets limits and ends the engine; each includes those before it.
  The owner of the home folder is admin.
- **Request ids.** A repeat with the same id gets the first answer and does nothing more; with other parameters it is
  refused; after a restart of the engine it is refused rather than done again. A reply comes only when everything that
  the operation booked is durable.
- **Emergency** operations never wait behind other work, nor count for the {MOST_CALLS:,} requests a minute that one
  client may send.
- **Streams.** `stream.subscribe`, `stream.unsubscribe`, `stream.resync` and `stream.list`; at most {MOST_TOPICS}
  topics a client. A topic of *state* is sent whole whenever it differs, no more often than its interval; the newest
  wins. A topic of *facts* is in order and complete and tells a fact only once it is durable; its numbers are those of
  the journal, and `since` goes on behind any of them. Who is more than {MOST_BEHIND:,} facts behind is cut off with
  code 4008 and goes on with `since`: nothing is lost, and the engine never waits.
- **A lost connection.** A request that was sent and not answered may or may not have been done: asked again under its
  id, it is done at most once. Our own client says so with the code `outcome_unknown`, and a command ends with status 4.
- **Heartbeat**: both sides ping every {HEARTBEAT_S:g} s; who has not answered {DEAD_S:g} s after a ping is gone.

## Values

- Amounts, prices and every exact figure are JSON strings such as `"0.0100"`; they are read as decimals, never as binary
  fractions. In a request, a figure may be a string or an integer. Fractions are of 1: `0.05` is 5 %.
- Times are UTC nanoseconds since 1970. A request takes a day or an ISO 8601 time as well.
- Books and public trades are integers that are scaled by `price_scale` and `quantity_scale` decimal places.
- The wire carries values, not words about them. Their written forms (`+12.30 USDT`, `6.50 %`) are made by the shared
  formatters of the screens and of the command line, so that a figure reads the same everywhere.
- Lists take `limit` (100 unless said otherwise, at most 1,000), `page` and `sort` (a field, a `-` before it for the
  largest first); what is not known comes last. A page with fewer rows than its limit is the last.
- Every call is logged with who, what, how long and how it ended. An operation that changes something is booked in the
  journal and in the audit log; limits, settings and configurations of bots also with their old and new values.
"""

AFTER_TOPICS = """
The filters of topics of facts: `owner` is a bot's name (of executions its id as well) or `manual`; `instrument` is one
such as `SIM:BTC/USDT`; `severity` lets through what is at least that: info, good, warning, critical.

Some things that one might look for under another name:

| looked for | is |
|---|---|
| tickers: `market.ticker` | `market.tickers`, all of them |
| profit of bots: `bots.performance` | `bots.state`: realised, unrealised, fees, profit, share of capital, fills |
| health of bots: `bots.health` | `bots.state`: state, reason, heartbeat, last bar, refusals |
| logs and alerts of bots: `bots.log`, `bots.alerts` | `facts.activity` with the filters `owner` and `severity` |
| profit of the account: `portfolio.pnl` | `portfolio.overview` |
| own executions: `portfolio.executions` | `orders.fills` |
| risk of the account: `portfolio.risk` | `risk.state` |
| a manual order: `portfolio.place_order` | `orders.place`; `orders.preview` tells the verdict of risk and the cost |
| changing an order: `orders.modify` | `orders.replace` |
| ending or stopping everything: `engine.shutdown`, `engine.emergency` | `engine.stop`, `risk.emergency_stop` |
"""

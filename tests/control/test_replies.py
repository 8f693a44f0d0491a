"""The table of replies says what the handlers answer, and what the topics carry."""

from __future__ import annotations

import subprocess
import sys
import typing
from typing import Any

import msgspec
import pytest

from engine.control import (
    views,
    views_algos,
    views_analyses,
    views_arbitrage,
    views_bots,
    views_capital,
    views_emergency,
    views_errors,
    views_execution,
    views_guards,
    views_keys,
    views_live,
    views_margin,
    views_orders,
    views_quality,
    views_recordings,
    views_records,
    views_replay,
    views_risk,
    views_search,
    views_state,
    views_venues,
)
from engine.control.ops import all as all_operations
from engine.control.registry import OPERATIONS
from engine.control.replies import FACTS, REPLIES, TOPICS, reply_type, topic_type
from engine.control.topic_table import FACT_TOPICS, STATE_FILTERS
from engine.control.topics import STATE_TOPICS
from engine.model.candle import Candle

NAMES: dict[str, Any] = {
    **vars(views),
    **vars(views_algos),
    **vars(views_analyses),
    **vars(views_arbitrage),
    **vars(views_bots),
    **vars(views_capital),
    **vars(views_emergency),
    **vars(views_errors),
    **vars(views_execution),
    **vars(views_guards),
    **vars(views_keys),
    **vars(views_live),
    **vars(views_margin),
    **vars(views_venues),
    **vars(views_recordings),
    **vars(views_orders),
    **vars(views_quality),
    **vars(views_records),
    **vars(views_replay),
    **vars(views_risk),
    **vars(views_search),
    **vars(views_state),
    "Candle": Candle,
    "Any": Any,
}


def answered(name: str) -> Any:
    """The type that a handler promises; modules import it for the type checker only."""
    handler = OPERATIONS[name].handler
    return eval(handler.__annotations__["return"], NAMES)


def test_every_operation_and_topic_is_in_the_table_and_nothing_else() -> None:
    assert all_operations.__all__
    assert set(REPLIES) == set(OPERATIONS), "enter it in engine/control/replies.py"
    assert set(TOPICS) == set(STATE_FILTERS) == set(STATE_TOPICS)
    assert set(FACTS) == set(FACT_TOPICS)
    assert {name: dict(topic.filters) for name, topic in STATE_TOPICS.items()} == STATE_FILTERS


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_the_table_says_what_the_handler_does(name: str) -> None:
    assert reply_type(name) == answered(name)
    msgspec.json.Decoder(reply_type(name))


def test_a_topic_of_state_is_a_view_or_a_tuple_of_views() -> None:
    for topic in TOPICS:
        kind = topic_type(topic)
        assert isinstance(kind, type) or typing.get_origin(kind) is tuple
    assert topic_type("orders.fills") is views.FillRow
    assert reply_type("of.tomorrow") is topic_type("of.tomorrow") is Any


def test_a_console_that_attaches_loads_nothing_of_the_engine_but_its_nouns() -> None:
    probe = "import sys, engine.control.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    heavy = {"numpy", "pandas", "numba", "ccxt", "sqlalchemy", "sqlite3", "pydantic", "structlog", "textual", "rich"}
    assert not heavy & {name.partition(".")[0] for name in loaded}
    rooms = {name for name in loaded if name.startswith("engine.control.")}
    assert not {name for name in rooms if ".ops" in name or ".present" in name}
    assert not {"engine.engine", "engine.control.service", "engine.control.host", "storage"} & loaded

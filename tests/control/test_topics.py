"""Topics: a snapshot first, then what changes, no faster than told; facts complete, in order and durable."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.clock import NS_PER_S, SimulatedClock
from engine.control import topics as topics_module
from engine.control.context import Context
from engine.control.link import Delta
from engine.control.topics import FACT_TOPICS, FAILED_S, STATE_TOPICS, StateTopic, Topics
from engine.errors import NotFoundError, ValidationError
from engine.ledger import Ledger
from engine.market.hub import MarketHub
from engine.resilience.handler import ErrorHandler
from engine.state import EngineState
from tests.control.house import BTC, Deck, deck
from tests.execution.house import INSTRUMENT, SlowJournal
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Callbacks(SlowJournal):
    """A slow journal whose listeners hear on a later turn, as those of the real one do."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Any] = []

    def on_durable(self, callback: Any) -> None:
        self.listeners.append(callback)

    def release(self) -> None:
        super().release()
        for listener in self.listeners:
            listener(self.durable_seq)


class Studio:
    """Topics over a bare ledger, a market hub and a clock set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = SimulatedClock()
        self.journal = Callbacks()
        self.journal.hold()
        self.state = EngineState()
        self.hub = MarketHub()
        self.hub.add(INSTRUMENT)
        self.ledger = Ledger(self.state, self.journal, self.clock, epoch=1)
        engine: Any = SimpleNamespace(
            errors=ErrorHandler(self.clock),
            ledger=self.ledger,
            journal=self.journal,
            state=self.state,
            hub=self.hub,
            clock=self.clock,
        )
        self.value: Any = 0
        self.built = 0
        self.looked = 0
        table = {
            "test.value": StateTopic("A value.", 0.5, self._build, self._version),
            "test.filtered": StateTopic(
                "A value of something.", 0.5, lambda c, f: f, self._version, {"instrument": None, "depth": 25}
            ),
        }
        monkeypatch.setattr(topics_module, "STATE_TOPICS", table)
        context = Context.__new__(Context)
        for name in Context.__slots__:
            setattr(context, name, None)
        context.engine, context.clock = engine, self.clock
        self.topics = Topics(context)
        self.task = asyncio.ensure_future(self.topics.run())

    def _build(self, context: Context, filters: dict[str, Any]) -> Any:
        self.built += 1
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    def _version(self, context: Context, filters: dict[str, Any]) -> object:
        self.looked += 1
        return str(self.value)

    def watch(self, topic: str, **filters: Any) -> list[Delta]:
        heard: list[Delta] = []
        self.topics.subscribe(topic, heard.append, filters)
        return heard


@pytest.fixture
async def studio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Studio]:
    found = Studio(monkeypatch)
    await asyncio.sleep(0)
    yield found
    found.task.cancel()
    await asyncio.gather(found.task, return_exceptions=True)


def act(studio: Studio, number: int) -> None:
    studio.ledger.record(ev.OperatorActed(actor="test", operation=f"n{number}", summary=""))


# --- state -----------------------------------------------------------------------------------------------------------


async def test_the_first_message_is_the_present_view_on_a_later_turn(studio: Studio) -> None:
    studio.value = 7
    heard = studio.watch("test.value")
    assert heard == []
    await studio.clock.advance(0.05)
    assert heard == [Delta("test.value", 1, True, 7)]


async def test_what_does_not_change_is_not_sent_or_built_again(studio: Studio) -> None:
    heard = studio.watch("test.value")
    await studio.clock.advance(5)
    assert len(heard) == 1
    assert studio.built == 2, "once to see that it can be, once to send"


async def test_changes_are_sent_no_faster_than_the_interval_and_the_newest_wins(studio: Studio) -> None:
    heard = studio.watch("test.value")
    for number in range(1, 41):
        studio.value = number
        await studio.clock.advance(0.05)
    assert 4 <= len(heard) <= 5
    assert [delta.seq for delta in heard] == list(range(1, len(heard) + 1))
    assert all(delta.snapshot for delta in heard)
    await studio.clock.advance(0.5)
    assert heard[-1].data == 40


async def test_after_a_silence_a_change_is_sent_at_the_next_step(studio: Studio) -> None:
    heard = studio.watch("test.value")
    await studio.clock.advance(10)
    studio.value = 1
    await studio.clock.advance(0.05)
    assert heard[-1].data == 1


async def test_one_view_is_built_for_all_watchers_and_a_new_one_gets_it_alone(studio: Studio) -> None:
    first = studio.watch("test.value")
    await studio.clock.advance(0.05)
    second = studio.watch("test.value")
    built = studio.built
    await studio.clock.advance(0.6)
    assert (len(first), len(second)) == (1, 1)
    studio.value = 1
    await studio.clock.advance(0.6)
    assert (len(first), len(second)) == (2, 2)
    assert studio.built == built + 2


async def test_a_watcher_that_fails_harms_nobody_else(studio: Studio) -> None:
    def breaks(delta: Delta) -> None:
        raise LookupError("their fault")

    studio.topics.subscribe("test.value", breaks, {})
    heard = studio.watch("test.value")
    for value in (1, 2):
        studio.value = value
        await studio.clock.advance(0.6)
    assert [delta.data for delta in heard] == [1, 2]


async def test_a_closed_watcher_hears_nothing_more_and_costs_nothing(studio: Studio) -> None:
    heard: list[Delta] = []
    watcher = studio.topics.subscribe("test.value", heard.append, {})
    watcher.close()
    await studio.clock.advance(1)
    assert heard == []
    looked = studio.looked
    await studio.clock.advance(5)
    assert studio.looked == looked
    watcher.close()


async def test_a_watcher_may_close_itself_while_it_hears(studio: Studio) -> None:
    heard: list[Delta] = []

    def once(delta: Delta) -> None:
        heard.append(delta)
        watcher.close()

    watcher = studio.topics.subscribe("test.value", once, {})
    other = studio.watch("test.value")
    for value in (1, 2):
        studio.value = value
        await studio.clock.advance(0.6)
    assert (len(heard), len(other)) == (1, 2)


async def test_a_view_that_cannot_be_made_is_tried_again_and_stops_nothing(studio: Studio) -> None:
    heard = studio.watch("test.value")
    other = studio.watch("test.filtered", instrument=BTC)
    await studio.clock.advance(0.05)
    studio.value = ZeroDivisionError("ours")
    built = studio.built
    await studio.clock.advance(FAILED_S * 5)
    assert studio.built <= built + 6, "not at every step"
    studio.value = 3
    await studio.clock.advance(FAILED_S + 0.1)
    assert heard[-1].data == 3
    assert len(other) >= 1


async def test_unknown_topics_and_filters_are_refused_at_once(studio: Studio) -> None:
    for topic, filters, said in (
        ("test.nothing", {}, "There is no topic 'test.nothing'; there are facts.activity"),
        ("test.value", {"depth": 5}, "test.value has no filter depth"),
        ("test.filtered", {"instrument": BTC, "color": "x"}, "no filter color; it has depth, instrument"),
        ("test.filtered", {}, "needs instrument"),
        ("test.filtered", {"instrument": 5}, "instrument of test.filtered is a text"),
        ("test.filtered", {"instrument": BTC, "depth": "5"}, "depth of test.filtered is a number"),
        ("test.filtered", {"instrument": BTC, "depth": 0}, "between 1 and 5000"),
        ("test.filtered", {"instrument": BTC, "depth": True}, "is a number"),
        ("facts.activity", {"since": 5}, "no filter since"),
        ("facts.activity", {"severity": "loud"}, "one of info, good, warning, critical"),
    ):
        with pytest.raises((NotFoundError, ValidationError), match=said.replace(".", r"\.")):
            studio.topics.subscribe(topic, print, filters)


async def test_a_topic_that_cannot_be_shown_is_refused_at_once(studio: Studio) -> None:
    studio.value = NotFoundError("There is no market X.")
    with pytest.raises(NotFoundError):
        studio.watch("test.value")


async def test_filters_that_are_not_given_have_their_defaults(studio: Studio) -> None:
    heard = studio.watch("test.filtered", instrument=BTC, depth=None)
    await studio.clock.advance(0.05)
    assert heard[0].data == {"instrument": BTC, "depth": 25}


# --- facts -----------------------------------------------------------------------------------------------------------


async def test_facts_are_told_in_order_and_only_when_durable(studio: Studio) -> None:
    heard = studio.watch("facts.activity")
    await studio.clock.advance(0.05)
    assert heard == [Delta("facts.activity", 0, True, ())]
    for number in range(3):
        act(studio, number)
    await studio.clock.advance(1)
    assert len(heard) == 1, "nothing is durable yet"
    studio.journal.release()
    assert [(delta.seq, delta.snapshot, delta.data.seq) for delta in heard[1:]] == [
        (1, False, 1),
        (2, False, 2),
        (3, False, 3),
    ]


async def test_a_late_watcher_gets_what_was_told_and_then_every_fact(studio: Studio) -> None:
    for number in range(3):
        act(studio, number)
    studio.journal.release()
    act(studio, 3)
    heard = studio.watch("facts.activity")
    await studio.clock.advance(0.05)
    assert (heard[0].seq, heard[0].snapshot, [row.seq for row in heard[0].data]) == (3, True, [1, 2, 3])
    studio.journal.release()
    act(studio, 4)
    studio.journal.release()
    assert [delta.seq for delta in heard[1:]] == [4, 5]


async def test_only_so_many_facts_are_kept_for_late_watchers(studio: Studio) -> None:
    for number in range(topics_module.KEPT_FACTS + 20):
        act(studio, number)
    studio.journal.release()
    heard = studio.watch("facts.activity")
    await studio.clock.advance(0.05)
    assert len(heard[0].data) == topics_module.KEPT_FACTS
    assert heard[0].data[-1].seq == topics_module.KEPT_FACTS + 20


async def test_a_watcher_of_facts_that_was_closed_before_it_heard_anything_hears_nothing(studio: Studio) -> None:
    heard: list[Delta] = []
    studio.topics.subscribe("facts.activity", heard.append, {}).close()
    act(studio, 1)
    await studio.clock.advance(0.05)
    studio.journal.release()
    assert heard == []


async def test_a_fact_that_cannot_be_put_into_words_harms_nobody(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object) -> None:
        raise LookupError("ours")

    monkeypatch.setattr(topics_module, "activity", breaks)
    act(studio, 1)
    monkeypatch.undo()
    monkeypatch.setattr(topics_module, "STATE_TOPICS", {})
    act(studio, 2)
    studio.journal.release()
    heard = studio.watch("facts.activity")
    await studio.clock.advance(0.05)
    assert [row.seq for row in heard[0].data] == [2]


# --- with a real engine ----------------------------------------------------------------------------------------------


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


FILTERS = {
    "market.book": {"instrument": BTC},
    "market.trades": {"instrument": BTC},
    "market.candles": {"instrument": BTC},
}


async def test_every_topic_shows_something_that_survives_the_wire(on: Deck) -> None:
    # A replay's own topic is tested with a replay.
    names = [name for name in (*STATE_TOPICS, *FACT_TOPICS) if name != "replay.state"]
    heard = {name: on.watch(name, **FILTERS.get(name, {}))[0] for name in names}
    await eventually(lambda: all(heard.values()))
    await on.market()
    await on.limit()
    await eventually(lambda: any(delta.data for delta in heard["portfolio.positions"]))
    await eventually(lambda: len(heard["orders.open"][-1].data) == 1)
    assert all(deltas[0].snapshot for deltas in heard.values())
    await eventually(lambda: any(not delta.snapshot for delta in heard["orders.fills"]))
    seqs = [delta.seq for delta in heard["facts.activity"]]
    assert seqs == sorted(seqs)


async def test_own_orders_are_in_the_book(on: Deck) -> None:
    heard, _ = on.watch("market.book", instrument=BTC, depth=5)
    row = await on.limit(away=0.01)
    await eventually(lambda: heard and heard[-1].data.own)
    (own,) = heard[-1].data.own
    assert (own.side, own.client_ids, own.stop) == ("buy", (row.client_id,), False)


async def test_a_market_or_timeframe_that_does_not_exist_is_refused(on: Deck) -> None:
    with pytest.raises(NotFoundError, match="no market"):
        on.watch("market.book", instrument="SIM:NO/NO")
    with pytest.raises(ValidationError, match="timeframe"):
        on.watch("market.candles", instrument=BTC, timeframe="fortnight")


async def test_the_candle_topic_tells_of_a_bar_that_closes_by_time_alone(on: Deck) -> None:
    heard, _ = on.watch("market.candles", instrument=BTC, timeframe="1m")
    await eventually(lambda: heard)
    series = on.engine.hub.series(BTC, "1m")  # type: ignore[arg-type]
    await eventually(lambda: series.growing is not None)
    growing = series.growing
    assert growing is not None
    series.roll(growing.ts + 60 * NS_PER_S)
    series.give_up()
    await eventually(lambda: any(c.ts == growing.ts and c.closed for c in heard[-1].data.candles))

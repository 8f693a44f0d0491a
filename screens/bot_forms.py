"""Making and changing a bot: the form follows the chosen strategy, whose declaration is all it knows of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from engine.control.views_bots import BotSetup
from engine.errors import QuarterdeckError
from engine.model.entries import BotState
from engine.model.ids import symbol_of
from screens.form_dialog import FormDialog
from screens.form_fields import NO, YES, YES_NO, Field, Kind, param_fields, params_of
from screens.formats import exact
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.timer import Timer

    from console.app import QuarterdeckApp
    from engine.control.views import BotRow, ParamRow, StrategyRow
    from screens.where import Where

__all__ = ["FILE", "TIMEFRAMES", "EditBotDialog", "NewBotDialog", "StrategyPicker", "free_name"]

FILE = "file"
"""The choice of a strategy file instead of a known strategy."""
TIMEFRAMES = ("1m", "5m", "15m", "30m", "1h", "4h", "1d")
LOOK_S = 0.4
DEFAULT_CAPITAL = "2000"
NAME_HELP = "Letters, digits, space, _ . and -; at most 32. The bot is known by it everywhere."
CAPITAL_HELP = "The most the bot may use, in the account's base currency."
ACCOUNT_HELP = "The account of the venue in which it trades."
START_HELP = "Whether the bot starts by itself together with the engine."
MODE_HELP = "paper: it never trades in an account with real money; live: it may."
PRIORITY_HELP = "1 to 10; where bots compete for requests or stand against each other, higher goes first."
PROCESS_HELP = "Its strategy runs in a process of its own, with limits of memory and processor."
MODES = (("paper", "paper"), ("live", "live"))
ENTRIES_HELP = "How entries are traded; parameters beyond the usual ones: quarterdeck bots configure --execution."
ENTRIES = (
    ("market", "one order"), ("auto", "what fits them"), ("twap", "TWAP"), ("vwap", "VWAP"),
    ("implementation_shortfall", "shortfall"), ("pov", "POV"), ("chase", "chase"), ("peg", "peg"),
)  # fmt: skip
UP = frozenset({BotState.RUNNING, BotState.PAUSED})
"""States in which market, bars and strategy stay as they are."""


def timeframe_choices(*wanted: str) -> tuple[tuple[str, str], ...]:
    """Return the usual lengths of a bar, and those wanted besides."""
    extra = [name for name in wanted if name and name not in TIMEFRAMES]
    return tuple((name, name) for name in (*TIMEFRAMES, *extra))


def free_name(strategy: str, symbol: str, taken: Sequence[str]) -> str:
    """Return a name for a new bot that no other has: `trend-btc`, then `trend-btc-2`."""
    head = clean(strategy).partition("_")[0][:12] or "bot"
    base = f"{head}-{clean(symbol).partition('/')[0].lower()}".strip("-")[:26]
    names = {name.casefold() for name in taken}
    number, name = 1, base
    while name.casefold() in names:
        number += 1
        name = f"{base}-{number}"
    return name


def run_fields(setup: BotSetup) -> list[Field]:
    """Return how a bot is run."""
    return [
        Field("mode", "Mode", Kind.CHOICE, setup.mode, MODES, help=MODE_HELP),
        Field("priority", "Priority", Kind.NUMBER, str(setup.priority), minimum="1", maximum="10", help=PRIORITY_HELP),
        Field("process", "Own process", Kind.CHOICE, YES if setup.isolation == "process" else NO, YES_NO,
              help=PROCESS_HELP),
    ]  # fmt: skip


def run_values(setup: BotSetup, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return how a bot shall be run, what the form does not ask for as it is."""
    wanted = {
        **{name: getattr(setup, name) for name in setup.__struct_fields__},
        "mode": texts["mode"],
        "priority": int(texts["priority"]),
        "isolation": "process" if texts["process"] == YES else "task",
    }
    usual = BotSetup()
    return {name: value for name, value in wanted.items() if value != getattr(usual, name)}


def entries_field(execution: Mapping[str, Any]) -> Field:
    """Return the choice of the algorithm of entries."""
    present = str(execution.get("algorithm", "market"))
    return Field("entries", "Entries by", Kind.CHOICE, present, ENTRIES, help=ENTRIES_HELP)


def execution_of(execution: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return how entries shall be executed; parameters that the form does not ask for stay."""
    kept = {name: value for name, value in execution.items() if name != "algorithm"}
    return kept if texts["entries"] == "market" else {**kept, "algorithm": texts["entries"]}


def account_fields(where: Where, instrument: str, present: str = "") -> list[Field]:
    """Return the choice of an account, where the instrument's venue has several; the present one is chosen at first."""
    accounts = where.accounts(instrument.partition(":")[0])
    if len(accounts) < 2:
        return []
    first = present if present in accounts else accounts[0]
    choices = tuple((name, name) for name in accounts)
    return [Field("account", "Account", Kind.CHOICE, first, choices, help=ACCOUNT_HELP)]


class StrategyPicker(FormDialog):
    """A form that begins with a strategy and shows the parameters this one declares.

    Args:
        title: The heading.
        strategies: What can be chosen; a file of one's own always can.
    """

    FOLLOWED: ClassVar[frozenset[str]] = frozenset({"strategy"})
    """Fields that others depend on."""

    def __init__(self, title: str, strategies: Sequence[StrategyRow]) -> None:
        super().__init__(title)
        self.strategies = {row.name: row for row in strategies}
        self._loaded: StrategyRow | None = None
        self._looked_at = ""
        self._timer: Timer | None = None

    def strategy_fields(self, texts: Mapping[str, str]) -> list[Field]:
        """Return the fields that name the strategy."""
        names = tuple((name, name) for name in self.strategies)
        chosen = texts.get("strategy", next(iter(self.strategies), FILE))
        help_ = self.strategies[chosen].description if chosen in self.strategies else "A strategy file of your own."
        fields = [
            Field("strategy", "Strategy", Kind.CHOICE, next(iter(self.strategies), FILE), (*names, (FILE, "a file…")),
                  help=help_),
        ]  # fmt: skip
        if chosen == FILE:
            said = self._loaded.description if self._loaded is not None else "Path of the file, such as ~/my_idea.py."
            fields.append(Field("file", "File", help=said))
        return fields

    def strategy(self, texts: Mapping[str, str]) -> StrategyRow | None:
        """Return the chosen strategy; None for a file that has not been loaded."""
        chosen = texts.get("strategy", "")
        return self._loaded if chosen == FILE else self.strategies.get(chosen)

    def parameters(self, texts: Mapping[str, str]) -> tuple[ParamRow, ...]:
        """Return the declared parameters of the chosen strategy."""
        found = self.strategy(texts)
        return found.params if found is not None else ()

    def parameter_fields(self, texts: Mapping[str, str], values: Mapping[str, object]) -> list[Field]:
        """Return a field for every parameter of the chosen strategy."""
        found = self.strategy(texts)
        return param_fields(found.params, values, f"Parameters of {found.name}") if found is not None else []

    def named(self, texts: Mapping[str, str]) -> dict[str, Any]:
        """Return what an operation takes: strategy, its file and the parameters that differ from their defaults."""
        found = self.strategy(texts)
        return {
            "strategy": found.name if found is not None else "",
            "strategy_file": texts["file"].strip() if texts.get("strategy") == FILE else None,
            "params": params_of(self.parameters(texts), texts),
        }

    def all_fields(self, texts: Mapping[str, str]) -> list[Field]:
        """Return all fields as they are with these texts."""
        raise NotImplementedError

    def first_fields(self) -> list[Field]:
        """Return the fields with nothing typed yet."""
        fields = self.all_fields({})
        return self.all_fields({field.name: field.value for field in fields})

    def reshape(self, name: str) -> None:
        """Show the parameters of another strategy; look at a file once its path is written."""
        if name == "file":
            if self._timer is not None:
                self._timer.stop()
            self._timer = self.set_timer(LOOK_S, self._look, name="strategy file")
        elif name in self.FOLLOWED:
            self.set_fields(self.all_fields(self.form.texts))

    def _look(self) -> None:
        path = self.form.texts.get("file", "").strip()
        if path and path != self._looked_at:
            self._looked_at = path
            self.run_worker(self._load(path), name="strategy file", exclusive=True, exit_on_error=False)

    async def _load(self, path: str) -> None:
        try:
            row = await self.deck.link.call("strategies.load", {"file": path})
        except QuarterdeckError as error:
            self._loaded = None
            if self.is_mounted:
                self.form.blame({"file": "cannot be loaded"})
                self.say(error.message)
        else:
            self._loaded = row
            if self.is_mounted:
                self.say("")
        if self.is_mounted:
            self.set_fields(self.all_fields(self.form.texts))
            self.form.drain()

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse a file that has not been loaded."""
        if self.strategy(texts) is not None:
            return {}
        self._look()
        return {"file": "is not loaded yet; check the path"}


class NewBotDialog(StrategyPicker):
    """Makes a bot, stopped; ends with it.

    Args:
        app: Knows instruments and the link.
        strategies: What can be chosen.
        taken: Names that other bots have.
    """

    FOLLOWED: ClassVar[frozenset[str]] = frozenset({"strategy", "instrument"})
    VERB: ClassVar[str] = "Make it"
    BUSY: ClassVar[str] = "Making the bot…"

    def __init__(self, app: QuarterdeckApp, strategies: Sequence[StrategyRow], taken: Sequence[str]) -> None:
        super().__init__("New bot", strategies)
        self._link = app.link
        self._taken = list(taken)
        self._instruments = list(app.instruments.values())
        self._where = app.where
        self._instrument = app.instrument
        status = app.status.data
        self._currency = status.base_currency if status is not None else ""

    def all_fields(self, texts: Mapping[str, str]) -> list[Field]:
        """Return what describes a bot, then the parameters."""
        found = self.strategy(texts)
        choices = tuple((row.id, f"{row.symbol}{self._where.beside(row.id)}") for row in self._instruments)
        known = {row.id for row in self._instruments}
        instrument = self._instrument if self._instrument in known else next(iter(choices), ("", ""))[0]
        wanted = texts.get("instrument", instrument)
        symbol = next((symbol for key, symbol in choices if key == wanted), "")
        name = free_name(found.name if found is not None else "", symbol, self._taken)
        default = found.timeframe if found is not None else "1h"
        return [
            *self.strategy_fields(texts),
            Field("name", "Name", value=name, help=NAME_HELP),
            Field("instrument", "Market", Kind.CHOICE, instrument, choices, help="The instrument it trades."),
            *account_fields(self._where, wanted),
            Field(
                "timeframe", "Bar", Kind.CHOICE, default, timeframe_choices(default),
                help="Length of a bar; the strategy decides at the end of each.",
            ),
            Field(
                "capital", "Capital", Kind.NUMBER, DEFAULT_CAPITAL, minimum="0", above=True, unit=self._currency,
                help=CAPITAL_HELP,
            ),
            entries_field({}),
            Field("autostart", "Start with engine", Kind.CHOICE, NO, YES_NO, help=START_HELP),
            *run_fields(BotSetup()),
            *self.parameter_fields(texts, {}),
        ]  # fmt: skip

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse a name that is taken."""
        found = super().judge(texts)
        if texts["name"].strip().casefold() in {name.casefold() for name in self._taken}:
            found["name"] = "another bot has this name"
        return found

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Make the bot."""
        asked = {
            **self.named(texts),
            "name": texts["name"].strip(),
            "instrument": texts["instrument"],
            **({"account": texts["account"]} if "account" in texts else {}),
            "timeframe": texts["timeframe"],
            "capital": texts["capital"].replace(",", "").strip(),
            "autostart": texts["autostart"] == YES,
            **({"execution": wanted} if (wanted := execution_of({}, texts)) else {}),
            **run_values(BotSetup(), texts),
        }
        return await self._link.call("bots.create", asked, request_id=request_id)


class EditBotDialog(FormDialog):
    """Changes a bot's configuration; ends with the bot.

    Args:
        app: Knows the link.
        row: The bot as it is.
        strategy: Its strategy; None where it is not known, then its parameters stay as they are.
    """

    VERB: ClassVar[str] = "Change it"
    BUSY: ClassVar[str] = "Changing the bot…"

    def __init__(self, app: QuarterdeckApp, row: BotRow, strategy: StrategyRow | None) -> None:
        super().__init__(f"Edit {row.name}")
        self._link = app.link
        self._row = row
        self._strategy = strategy
        self._instruments = list(app.instruments.values())
        self._where = app.where

    def first_fields(self) -> list[Field]:
        """Return what can be changed; the name and the strategy stay."""
        return self._fields(self._row.instrument)

    def reshape(self, name: str) -> None:
        """Offer the accounts of the venue that is chosen."""
        if name == "instrument":
            self.set_fields(self._fields(self.form.texts["instrument"]))

    def _fields(self, wanted: str) -> list[Field]:
        row, where = self._row, self._where
        choices = {item.id: f"{item.symbol}{where.beside(item.id)}" for item in self._instruments} or {
            row.instrument: symbol_of(row.instrument)
        }
        params = self._strategy.params if self._strategy is not None else ()
        market = [] if row.state in UP else [
            Field("instrument", "Market", Kind.CHOICE, row.instrument, tuple(choices.items()),
                  help="The instrument it trades."),
            *account_fields(where, wanted, row.account),
            Field("timeframe", "Bar", Kind.CHOICE, row.timeframe, timeframe_choices(row.timeframe),
                  help="Length of a bar."),
        ]  # fmt: skip
        return [
            *market,
            Field("capital", "Capital", Kind.NUMBER, exact(row.capital).replace(",", ""), minimum="0", above=True,
                  unit=row.currency, help=CAPITAL_HELP),
            entries_field(row.execution),
            Field("autostart", "Start with engine", Kind.CHOICE, YES if row.autostart else NO, YES_NO, help=START_HELP),
            *run_fields(row.setup),
            *param_fields(params, row.params, f"Parameters of {row.strategy}"),
        ]  # fmt: skip

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Change the bot."""
        row, up = self._row, self._row.state in UP
        asked = {
            "bot": row.id,
            "name": row.name,
            "strategy": row.strategy,
            "strategy_file": row.strategy_file or None,
            "instrument": texts.get("instrument", row.instrument),
            **({"account": texts["account"]} if "account" in texts else {"account": row.account} if up else {}),
            "timeframe": texts.get("timeframe", row.timeframe),
            "capital": texts["capital"].replace(",", "").strip(),
            "autostart": texts["autostart"] == YES,
            "execution": execution_of(row.execution, texts),
            **run_values(row.setup, texts),
            "params": dict(row.params) if self._strategy is None else params_of(self._strategy.params, texts),
        }
        return await self._link.call("bots.configure", asked, request_id=request_id)

"""Which bots there are: looking them up, creating, changing and deleting them. What they do is the manager's."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.config import BotConfig
from engine.bots.events.kinds import on_books
from engine.capital.allocation import check_allocation
from engine.errors import ConfigurationError, ConflictError, NotFoundError
from engine.logs import get_logger
from engine.model.account import TradingMode
from engine.model.dust import too_small
from engine.model.entries import BotEntry, BotState
from engine.model.ids import AccountId, Owner
from engine.model.limits import RiskLimits
from engine.strategy.contract import StrategyParams

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from engine.bots.builder import AccountOf, BotBuilder, Library
    from engine.ledger import Ledger
    from engine.model.instrument import Instrument
    from engine.state import EngineState

__all__ = ["ACTIVE", "RESERVED_NAMES", "Roster", "has_any", "holds"]

log = get_logger(__name__)

RESERVED_NAMES = frozenset({"manual", "external", "unknown", "engine"})
"""Owners that are no bots."""
ACTIVE = frozenset({BotState.STARTING, BotState.RUNNING, BotState.PAUSED, BotState.STOPPING, BotState.RECOVERING})
"""States of a bot that has been started and not been stopped."""


class Roster:
    """The bots of an engine as they are booked.

    Args:
        account_of: Tells where a bot trades.
        ledger: What is booked about them.
        builder: Knows their instruments.
        library: Gives their strategies.
        free_capital: What no bot of an account has been given; None while that is not known.
    """

    def __init__(
        self,
        account_of: AccountOf,
        ledger: Ledger,
        builder: BotBuilder,
        library: Library,
        free_capital: Callable[[AccountId], Decimal | None],
    ) -> None:
        self.limits: Callable[[], RiskLimits] = RiskLimits
        """Gives the global limits in force, which a bot's own ones may not loosen."""
        self._account_of = account_of
        self._ledger = ledger
        self._builder = builder
        self._library = library
        self._free_capital = free_capital

    # --- looking up --------------------------------------------------------------------------------------------------

    def find(self, name: str) -> BotEntry:
        """A bot by id or name.

        Raises:
            NotFoundError: There is none; the message names those there are.
        """
        for entry in self._ledger.state.bots.values():
            if name in (entry.id, entry.name):
                return entry
        known = ", ".join(sorted(e.name for e in self._ledger.state.bots.values())) or "none yet"
        raise NotFoundError(f"There is no bot {name!r}; the bots are: {known}.")

    def entry(self, owner: Owner) -> BotEntry | None:
        """A bot by its id; None for an owner that is no bot."""
        return self._ledger.state.bots.get(owner)

    def config(self, entry: BotEntry) -> BotConfig:
        """A bot's validated configuration, with the capital that it has now."""
        return BotConfig.decode(entry.config).model_copy(update={"capital": entry.capital})

    def account_of(self, entry: BotEntry) -> AccountId | None:
        """Where a bot trades; None when its configuration or its venue is not known here."""
        try:
            return self._account_of(self.config(entry))
        except (ConfigurationError, NotFoundError):
            return None

    def place_of(self, entry: BotEntry) -> tuple[AccountId, Instrument, float] | None:
        """Where a bot trades and in what, and how far away a stop is that nobody has named; None when not known."""
        try:
            config = self.config(entry)
            stop = config.params.get("stop_loss_pct", StrategyParams().stop_loss_pct)
            return self._account_of(config), self._builder.instrument(config), float(stop)
        except (ConfigurationError, NotFoundError) as error:
            log.warning("what a bot trades is not known here", bot=entry.id, problem=error.message)
            return None

    def account_in(self, config: BotConfig) -> AccountId:
        """Where a bot of this configuration trades. Raises NotFoundError where its account or venue is not known."""
        return self._account_of(config)

    def is_live(self, config: BotConfig) -> bool:
        """Whether a bot of this configuration trades real money."""
        account = self._ledger.state.accounts.get(self._account_of(config))
        return account is not None and account.mode is TradingMode.LIVE

    def resumes(self, config: BotConfig) -> bool:
        """Whether a bot may enter again by itself after a restart: as it says, else on paper only."""
        return config.auto_resume if config.auto_resume is not None else not self.is_live(config)

    # --- changing ----------------------------------------------------------------------------------------------------

    def create(self, config: BotConfig) -> BotEntry:
        """Check a configuration and book a new, stopped bot.

        Raises:
            ConfigurationError: The name is taken, the instrument unknown, or a limit looser than the global one.
            CapitalManagementError: The capital is not free, or nobody knows what is.
            StrategyLoadError, NotFoundError: The strategy cannot be had.
        """
        state = self._ledger.state
        self.check_name(config.name)
        self.check(config)
        account = state.accounts[self._account_of(config)]
        owner = Owner(f"bot-{secrets.token_hex(4)}")
        self._ledger.record(
            ev.BotCreated(
                bot=owner,
                name=config.name,
                config=config.encode(),
                capital=config.capital,
                currency=account.base_currency,
            )
        )
        return state.bots[owner]

    def check_name(self, wanted: str) -> None:
        """Raise ConfigurationError when a bot, or an owner that is none, has this name."""
        name = wanted.lower()
        if name in RESERVED_NAMES or any(
            name in (entry.name.lower(), entry.id) for entry in self._ledger.state.bots.values()
        ):
            raise ConfigurationError(f"A bot named {wanted!r} exists already; choose another name.")

    def check(self, config: BotConfig, replacing: BotEntry | None = None) -> None:
        """Whether a bot of this configuration could trade. Raises as `create`."""
        self._builder.instrument(config)
        account = self._account_of(config)
        if account not in self._ledger.state.accounts:
            raise ConfigurationError(f"The account {account} is not open yet; wait until its venue has been reached.")
        self.check_mode(config)
        looser = config.own_limits.looser_than(self.limits())
        if looser:
            raise ConfigurationError(
                f"A bot's own limits can only be stricter than the global ones; looser are {', '.join(looser)}."
            )
        free = self._free_capital(account)
        if free is not None and replacing is not None:
            free += replacing.capital
        check_allocation(config.capital, free)
        self._builder.check(config)

    def check_mode(self, config: BotConfig) -> None:
        """Raise ConfigurationError when a bot on paper would trade real money."""
        if config.mode == "paper" and self.is_live(config):
            raise ConfigurationError(
                f"The bot {config.name} is on paper and the account {self._account_of(config)} trades real money; set "
                "its mode to live, or choose another account."
            )

    def delete(self, entry: BotEntry) -> None:
        """Remove a stopped bot; its history stays.

        Raises:
            ConflictError: It runs, or still holds a position or orders.
        """
        if entry.state in ACTIVE:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; stop it before deleting it.")
        if holds(self._ledger.state, entry.id):
            raise ConflictError(
                f"The bot {entry.name} still has a position or orders; start it and stop it with `close`, or close the "
                "position on Portfolio."
            )
        self._ledger.record(ev.BotDeleted(bot=entry.id))

    def configure(self, entry: BotEntry, config: BotConfig) -> None:
        """Replace a stopped bot's configuration as a whole.

        Raises:
            ConflictError: It runs.
            ConfigurationError: The new one is not acceptable; the old one stays.
        """
        if entry.state in ACTIVE:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; stop it before changing its configuration.")
        if config.name != entry.name:
            raise ConfigurationError("A bot keeps its name; create a new one under the other name.")
        if config.instrument != self.config(entry).instrument and holds(self._ledger.state, entry.id):
            raise ConflictError(
                f"The bot {entry.name} still has a position or orders in {self.config(entry).instrument}, which nobody "
                "would look after any more; close them first."
            )
        self.check(config, entry)
        self.check_kind(entry, config)
        self.book(entry, config)

    def check_kind(self, entry: BotEntry, config: BotConfig) -> None:
        """Raise ConflictError when a bot with a position or orders would change between bars and books.

        Either kind looks after its position in a way of its own, and takes up nothing from the other.
        """
        before = on_books(self._library, self.config(entry), entry.memory)
        if before is on_books(self._library, config) or not has_any(self._ledger.state, entry.id):
            return
        old, new = ("books", "bars") if before else ("bars", "books")
        raise ConflictError(
            f"The bot {entry.name} has a position or orders, which a strategy on {new} does not take over from one on "
            f"{old}; close them first, then change its strategy."
        )

    def book(self, entry: BotEntry, config: BotConfig) -> None:
        """Book a configuration that has been checked."""
        self._ledger.record(ev.BotConfigured(bot=entry.id, config=config.encode(), capital=config.capital))


def has_any(state: EngineState, owner: Owner) -> bool:
    """Whether a bot has orders, parent orders, or any position worth an order."""
    return holds(state, owner) or any(parent.owner == owner for parent in state.parents.values())


def holds(state: EngineState, owner: Owner) -> bool:
    """Whether a bot has orders, or a position that is large enough to be traded."""
    if any(order.owner == owner for order in state.orders.values()):
        return True
    for (holder, _, instrument), position in state.owned.items():
        if holder == owner and position.lots:
            entry = state.marks.get(instrument)
            mark = None if entry is None else entry.price
            if not too_small(state.instruments[instrument], position.quantity, mark):
                return True
    return False

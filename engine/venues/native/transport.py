"""Requests of one account to one venue: signed by ccxt, sent by us, past the rate coordinator."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from statistics import median
from typing import TYPE_CHECKING, Any, Self

import msgspec

from engine.errors import (
    AuthenticationError,
    ExchangeBannedError,
    ExchangeClockError,
    ExchangeConnectionError,
    ExchangeRateLimitError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.logs import add_secret, get_logger
from engine.venues.limits.rules import Limit, Reading, lowered
from engine.venues.native.address import make_ssl_context
from engine.venues.native.ccxt_class import call_notes, ccxt_class, make_exchange
from engine.venues.native.ccxt_urls import host_of, with_addresses
from engine.venues.native.clock_offset import ClockOffset
from engine.venues.native.failures import Failures
from engine.venues.native.http import NoAnswerError, open_session, send
from engine.venues.native.request import Answer, Endpoint, Params, Priority
from engine.venues.native.under_way import UnderWay

if TYPE_CHECKING:
    import aiohttp

    from engine.clock import Clock
    from engine.model.credentials import Credentials, CredentialSource
    from engine.model.ids import AccountId
    from engine.venues.limits.coordinator import Coordinator
    from engine.venues.limits.lane import Lane, Pass
    from engine.venues.native.options import VenueOptions

    Scope = Mapping[str, str]
    Costs = Mapping[str, float]

__all__ = ["CcxtTransport", "VenueTable"]

log = get_logger(__name__)

LATENCIES = 64
LONGEST_PAUSE_S = {False: 60.0, True: 3 * 86_400.0}
"""Longest pause that we choose ourselves, by whether it is a ban."""
FIRST_PAUSE_S = {False: 2.0, True: 120.0}


class VenueTable(msgspec.Struct, frozen=True, kw_only=True):
    """What the transport must know of a venue: a part of its adapter's tables."""

    exchange: str
    """ccxt's id, such as `binance`."""
    scheme: str = ""
    """Whose limits hold; venues that share a host and this share them. Empty for that of the exchange."""
    limits: tuple[Limit, ...]
    readings: tuple[Reading, ...] = ()
    failures: Failures
    addresses: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=lambda: {"rest": ("http",), "ws": ("ws",)})
    """What each name in the settings replaces, see `ccxt_urls.with_addresses`; `rest` is where requests go."""
    testnet: str = "sandbox"
    """How ccxt reaches the testnet: `sandbox`, `demo`, or empty for a venue without one."""
    config: Mapping[str, Any] = {}
    """More of ccxt's configuration, such as {"options": {"defaultType": "swap"}}."""
    time: Endpoint | None = None
    """Asks for the venue's time."""
    read_time: Callable[[bytes], int] | None = None
    """Reads it: UTC nanoseconds."""
    deadline: str = ""
    """Header in which a venue is told until when a request may change something, in milliseconds of its clock: what
    has no answer by then never takes effect. Empty for a venue without one."""
    streaming: bool = False
    """Whether ccxt's streaming class is wanted."""


class _Shared:
    """What the transports of all accounts of a venue have in common."""

    def __init__(self, clock: Clock) -> None:
        self.offset = ClockOffset(clock)
        self.session: aiohttp.ClientSession | None = None
        self.users = 0
        self.latencies: deque[float] = deque(maxlen=LATENCIES)
        self.opening = asyncio.Lock()
        self.measuring = asyncio.Lock()


class CcxtTransport:
    """Carries one account's requests to one venue; the `Transport` of the native adapters.

    Nothing is repeated here. A failure before there was a connection is an `ExchangeConnectionError`; any later
    silence of a request that changes something is an `UnknownOutcomeError`. The clock's offset is measured when the
    venue says that a request's time is wrong (`ExchangeClockError`: it did nothing, the caller may repeat it).

    Args:
        table: The venue.
        options: Its settings.
        credentials: Where the account's key comes from.
        clock: Time of the engine.
        coordinator: Shared by everything in the process.
        account: Whose key signs; None for public requests.
    """

    def __init__(
        self,
        table: VenueTable,
        options: VenueOptions,
        credentials: CredentialSource,
        clock: Clock,
        *,
        coordinator: Coordinator,
        account: AccountId | None = None,
        _shared: _Shared | None = None,
    ) -> None:
        self._table = table
        self._options = options
        self._credentials = credentials
        self._clock = clock
        self._coordinator = coordinator
        self._account = account
        self._limits = lowered(table.limits, options.limits)
        self._shared = _shared or _Shared(clock)
        self._exchange: Any = None
        self._key: Credentials | None = None
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._refusals = 0
        self._under_way = UnderWay[Answer]()
        self._closed = False

    def __repr__(self) -> str:
        return f"CcxtTransport({self._options.id}, {self._account or 'public'})"

    def for_account(self, account: AccountId | None, *, table: VenueTable | None = None) -> Self:
        """A transport for another account that shares connections, offset, limits and figures with this one.

        Args:
            account: Whose key signs; None for public requests.
            table: The same venue with other terms for ccxt.
        """
        return type(self)(
            table or self._table,
            self._options,
            self._credentials,
            self._clock,
            coordinator=self._coordinator,
            account=account,
            _shared=self._shared,
        )

    @property
    def account(self) -> AccountId | None:
        """Whose key signs; None for public requests."""
        return self._account

    @property
    def offset(self) -> ClockOffset:
        """The estimate of the venue's clock."""
        return self._shared.offset

    @property
    def latency_ms(self) -> float | None:
        """Median of the last requests of all accounts; None before the first answer."""
        return median(self._shared.latencies) if self._shared.latencies else None

    @property
    def lanes(self) -> tuple[Lane, ...]:
        """The lanes of the coordinator that are in use here."""
        return tuple(dict.fromkeys(self._lanes.values()))

    def usage(self) -> dict[str, float]:
        """Share of each limit that is used now, 0 to 1, by the limit's name."""
        shares: dict[str, float] = {}
        for lane in self.lanes:
            for name, share in lane.usage().items():
                shares[name] = max(share, shares.get(name, 0.0))
        return shares

    @property
    def paused_until(self) -> int:
        """UTC nanoseconds until which the venue wants no requests; 0 for not at all."""
        return max((lane.paused_until for lane in self.lanes), default=0)

    @property
    def exchange(self) -> Any:
        """Ccxt's object, once `open` has returned."""
        assert self._exchange is not None
        return self._exchange

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Import ccxt and make ready to send; connects to nobody. Idempotent; requests do it by themselves.

        Raises:
            ConfigurationError: The exchange is unknown, or an address or the CA file cannot be used.
        """
        if self._closed:
            raise self._is_closed()
        if self._exchange is not None:
            return
        kind = await ccxt_class(self._table.exchange, streaming=self._table.streaming)
        async with self._shared.opening:
            if self._exchange is not None:
                return
            if self._shared.session is None:
                self._shared.session = open_session(await asyncio.to_thread(make_ssl_context, self._options.ca_file))
            config = {"timeout": int(self._options.timeout_s * 1000), **self._table.config}
            exchange = make_exchange(kind, self, self._shared.offset, self._shared.session, config)
            self._aim(exchange)
            self._shared.users += 1
            self._exchange = exchange

    def _aim(self, exchange: Any) -> None:
        """Point ccxt's object at the testnet or where the settings say."""
        if self._options.testnet and self._table.testnet == "sandbox" and exchange.urls.get("test"):
            exchange.set_sandbox_mode(True)
        elif self._options.testnet and self._table.testnet == "demo" and exchange.urls.get("demo"):
            exchange.enable_demo_trading(True)
        exchange.urls["api"] = with_addresses(exchange.urls["api"], self._options.addresses, self._table.addresses)

    @property
    def has_testnet(self) -> bool:
        """Whether requests go to a testnet, or where the settings say, rather than to the venue itself."""
        exchange = self.exchange
        return bool(
            "rest" in self._options.addresses
            or exchange.isSandboxModeEnabled
            or (exchange.options or {}).get("enableDemoTrading")
        )

    async def close(self) -> None:
        """Release connections; idempotent. Requests under way fail as unanswered."""
        self._closed = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.closed_by_user = True
            await exchange.close_ws_clients()
            exchange.session = None
            self._shared.users -= 1
        if self._shared.users == 0 and (session := self._shared.session) is not None:
            self._shared.session = None
            await session.close()

    # --- requests ----------------------------------------------------------------------------------------------------

    async def call(
        self,
        endpoint: Endpoint,
        params: Params | None = None,
        *,
        priority: Priority | None = None,
        cost: Mapping[str, float] | None = None,
    ) -> bytes:
        """Send a request and give the body of a successful answer; see `Transport.call`."""
        return (await self.ask(endpoint, params, priority=priority, cost=cost)).body

    async def ask(
        self,
        endpoint: Endpoint,
        params: Params | None = None,
        *,
        priority: Priority | None = None,
        cost: Mapping[str, float] | None = None,
    ) -> Answer:
        """As `call`, with the headers and times of the answer."""
        await self.open()
        self._allowed(endpoint)
        lane, scope = self._lane(endpoint, params), self._scope(endpoint, params)
        costs = {"endpoint": 1.0, **(endpoint.cost if cost is None else cost)}
        taken = await lane.acquire(
            costs,
            priority=endpoint.priority if priority is None else priority,
            scope=scope,
            within_s=self._options.timeout_s,
        )
        try:
            # After the wait: what is signed carries the time.
            request = self._signed(endpoint, params)
        except BaseException:
            taken.unsent()
            raise
        headers = self._exchange.prepare_request_headers(request["headers"])
        if self._table.deadline and endpoint.changes:
            until = self.offset.now() + int(self._options.timeout_s * 1e9)
            headers = {**headers, self._table.deadline: str(until // 1_000_000)}
        work = self._answered(lane, taken, endpoint, scope, costs, request | {"headers": headers})
        return await self._under_way.answer(work, f"{endpoint.name} at {self._options.id}")

    async def _answered(
        self, lane: Lane, taken: Pass, endpoint: Endpoint, scope: Scope, costs: Costs, request: Mapping[str, Any]
    ) -> Answer:
        parts = (request[part] for part in ("url", "method", "headers", "body"))
        answer = await self._send(lane, taken, endpoint, scope, *parts)
        fault = self._table.failures.find(answer.status, answer.body)
        if fault is None:
            self._refusals = 0
            return answer
        error = self._table.failures.error(answer.status, fault, endpoint, answer.headers, now=self._clock.now())
        await self._learn(error, lane, costs, scope)
        raise error

    def unlock(self) -> Any:
        """Ccxt's object with the account's present key, for its unified methods."""
        self._unlock()
        return self.exchange

    async def carry(self, url: str, method: str, headers: dict[str, Any], body: str | None) -> Answer:
        """Send a request that ccxt made by itself: as `call_notes` say, else as one of `requests` that goes last."""
        notes = call_notes.get()
        endpoint = notes.endpoint if notes else Endpoint(name="ccxt", method=method, path="", changes=method != "GET")
        self._allowed(endpoint)
        lane = self._coordinator.lane(host_of(url), self._scheme, self._limits)
        self._lanes.setdefault(("", host_of(url)), lane)
        scope = self._scope(endpoint, None)
        taken = await lane.acquire(
            endpoint.cost, priority=endpoint.priority, scope=scope, within_s=self._options.timeout_s
        )
        answer = await self._send(lane, taken, endpoint, scope, url, method, headers, body)
        if notes:
            notes.answer = answer
        if answer.status in (418, 429):
            fault = self._table.failures.find(answer.status, answer.body)
            if fault is not None:
                await self._learn(
                    self._table.failures.error(answer.status, fault, endpoint, answer.headers, now=self._clock.now()),
                    lane,
                    {},
                    scope,
                )
        return answer

    async def _send(
        self,
        lane: Lane,
        taken: Pass,
        endpoint: Endpoint,
        scope: Mapping[str, str],
        url: str,
        method: str,
        headers: dict[str, Any],
        body: str | None,
    ) -> Answer:
        session = self._shared.session
        if self._closed or session is None:
            taken.unsent()
            raise self._is_closed()
        began = self._clock.monotonic()
        try:
            answer = await send(session, self._clock, url, method, headers, body, self._options.timeout_s)
        except NoAnswerError as failure:
            if not failure.sent:
                taken.unsent()
            raise self._unanswered(failure, endpoint) from None
        finally:
            taken.done()
        self._shared.latencies.append((self._clock.monotonic() - began) / 1e6)
        lane.heard(answer.headers, self._table.readings, scope)
        return answer

    def _is_closed(self) -> ExchangeConnectionError:
        return ExchangeConnectionError(f"The way to {self._options.id} is closed; nothing was sent.")

    def _unanswered(self, failure: NoAnswerError, endpoint: Endpoint) -> QuarterdeckError:
        venue, details = self._options.id, {"endpoint": endpoint.name, "sent": failure.sent}
        if not failure.sent:
            return ExchangeConnectionError(
                f"{venue} could not be reached: {failure.why}. Nothing was sent.", details=details
            )
        if endpoint.changes:
            return UnknownOutcomeError(
                f"{venue} gave no answer to {endpoint.name}: {failure.why}. What became of it must be asked for.",
                details=details,
            )
        return ExchangeConnectionError(f"{venue} gave no answer to {endpoint.name}: {failure.why}.", details=details)

    # --- parts of a request ------------------------------------------------------------------------------------------

    @property
    def _scheme(self) -> str:
        return self._table.scheme or self._table.exchange

    def _allowed(self, endpoint: Endpoint) -> None:
        """Let nothing of an account go to the venue itself while its settings speak of a testnet."""
        ours = endpoint.changes or self._account is not None
        if ours and self._options.testnet and not self.has_testnet:
            raise ValidationError(
                f"{self._options.id} has no testnet, so that its settings with `testnet = true` only allow looking at "
                f"its markets; {endpoint.name} was not sent."
            )

    def _lane(self, endpoint: Endpoint, params: Params | None) -> Lane:
        key = (repr(endpoint.api), endpoint.path)
        lane = self._lanes.get(key)
        if lane is None:
            host = host_of(self._signed(endpoint, params)["url"])
            lane = self._lanes[key] = self._coordinator.lane(host, self._scheme, self._limits)
        return lane

    def _scope(self, endpoint: Endpoint, params: Params | None) -> dict[str, str]:
        scope = {"account": self._account or "", "endpoint": f"{endpoint.method} {endpoint.path}"}
        for limit in self._limits:
            for part in limit.scope:
                if part not in scope:
                    scope[part] = str(_first(params).get(part, ""))
        return scope

    def _signed(self, endpoint: Endpoint, params: Params | None) -> dict[str, Any]:
        self._unlock()
        from ccxt.base.errors import AuthenticationError as NoKeyError

        api = [endpoint.api] if isinstance(endpoint.api, str) else list(endpoint.api)
        try:
            request: dict[str, Any] = self._exchange.sign(endpoint.path, api, endpoint.method, _copied(params))
        except NoKeyError:
            raise AuthenticationError(
                f"There is no key for the account {self._account} at {self._options.id}; add one with "
                f"`quarterdeck keys add`. Nothing was sent."
                if self._account
                else f"{endpoint.name} of {self._options.id} needs an account's key. Nothing was sent."
            ) from None
        except Exception as error:
            # What a signing library says about a key that it cannot read may quote the key.
            raise AuthenticationError(
                f"{endpoint.name} could not be signed with the key of {self._account} at {self._options.id} "
                f"({type(error).__name__}); check it with `quarterdeck keys test`. Nothing was sent."
            ) from None
        return request

    def _unlock(self) -> None:
        """Give ccxt the account's present key."""
        if self._account is None:
            return
        try:
            key = self._credentials.credentials(self._options.id, self._account)
        except AuthenticationError:
            if self._key is None:
                raise
            # What is connected stays so: an order that works must be cancelled also after the keys were locked.
            return
        if key == self._key:
            return
        for secret in (key.key, key.secret, key.passphrase) if key else ():
            add_secret(secret)
        exchange = self._exchange
        exchange.apiKey, exchange.secret, exchange.password = (
            (key.key, key.secret, key.passphrase) if key else ("", "", "")
        )
        self._key = key

    # --- what failures teach -----------------------------------------------------------------------------------------

    async def _learn(
        self, error: QuarterdeckError, lane: Lane, costs: Mapping[str, float], scope: Mapping[str, str]
    ) -> None:
        if isinstance(error, ExchangeRateLimitError):
            self._pause(error, lane, costs, scope)
        elif isinstance(error, ExchangeClockError):
            self.offset.restart()
            try:
                await self.measure_clock()
            except QuarterdeckError as failed:
                log.warning("clock not measured", venue=self._options.id, why=failed.message)

    def _pause(
        self, error: ExchangeRateLimitError, lane: Lane, costs: Mapping[str, float], scope: Mapping[str, str]
    ) -> None:
        banned = isinstance(error, ExchangeBannedError)
        seconds = _pause_s(error, self._refusals, banned=banned)
        self._refusals = min(self._refusals + 1, 12)
        error.details["retry_after_ms"] = int(seconds * 1000)
        limits = error.details.pop("limits", ())
        if isinstance(limits, tuple) and limits and not banned:
            names = [limit.name for limit in self._limits if limit.unit in costs] if "*" in limits else list(limits)
            lane.pause_limits(seconds, names, scope)
        else:
            lane.pause(seconds, banned=banned)
        log.warning(
            "venue wants fewer requests", venue=self._options.id, host=lane.host, banned=banned, seconds=seconds
        )

    async def measure_clock(self) -> int:
        """Ask for the venue's time, take it into the offset, and give it in UTC nanoseconds.

        Several who ask at once share one look.

        Raises:
            ValidationError: The venue's table names no such request.
        """
        table, shared = self._table, self._shared
        if table.time is None or table.read_time is None:
            raise ValidationError(f"{self._options.id} does not tell its time.")
        looks = shared.offset.looks
        async with shared.measuring:
            if shared.offset.looks == looks:
                answer = await self.ask(table.time)
                shared.offset.add(answer.sent, table.read_time(answer.body), answer.received)
        return shared.offset.now()


def _copied(params: Params | None) -> dict[str, Any] | list[dict[str, Any]]:
    """What ccxt may write into: parameters, or a list of them where the venue wants one."""
    if params is None or isinstance(params, Mapping):
        return dict(params or {})
    return [dict(row) for row in params]


def _first(params: Params | None) -> Mapping[str, Any]:
    if params is None or isinstance(params, Mapping):
        return params or {}
    return params[0] if params else {}


def _pause_s(error: ExchangeRateLimitError, refusals: int, *, banned: bool) -> float:
    """Seconds that a venue wants to be left alone: what it says, or longer after each refusal."""
    told = error.details.get("retry_after_ms")
    if isinstance(told, int | float):
        return told / 1000
    return min(LONGEST_PAUSE_S[banned], FIRST_PAUSE_S[banned] * 2.0**refusals)

"""A bare signed client of Binance's protocol, for tests of the simulators themselves."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import msgspec
from yarl import URL

if TYPE_CHECKING:
    import aiohttp

    from tests.wire.accounts import Key
    from tests.wire.exchange import Exchange

__all__ = ["RawClient"]


class RawClient:
    """Signs and sends.

    Args:
        session: With the server's address as base.
        exchange: Knows the time.
        key: Signs.
    """

    def __init__(self, session: aiohttp.ClientSession, exchange: Exchange, key: Key) -> None:
        self.session = session
        self.exchange = exchange
        self.key = key

    def signed(self, params: dict[str, Any]) -> str:
        """A query string with timestamp and signature."""
        query = urlencode({"timestamp": self.exchange.ms(), **params})
        return f"{query}&signature={self.sign(query)}"

    def sign(self, payload: str) -> str:
        """HMAC-SHA256 in hex."""
        return hmac.new(self.key.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()

    def message(self, method: str, **params: Any) -> dict[str, Any]:
        """A signed request of the WebSocket API."""
        params = {"apiKey": self.key.key, "timestamp": self.exchange.ms(), **params}
        payload = "&".join(f"{name}={params[name]}" for name in sorted(params))
        return {"id": "1", "method": method, "params": {**params, "signature": self.sign(payload)}}

    async def ask(self, method: str, path: str, **params: Any) -> Any:
        """A signed request; its answer, which must be a success."""
        status, body = await self.raw(method, path, self.signed(params))
        assert status == 200, body
        return body

    async def refused(self, method: str, path: str, **params: Any) -> tuple[int, int, str]:
        """Status, code and message of a signed request that must be refused."""
        status, body = await self.raw(method, path, self.signed(params))
        assert status != 200, body
        return status, body["code"], body["msg"]

    async def public(self, path: str, **params: Any) -> Any:
        """A request without a key; its answer, which must be a success."""
        status, body = await self.raw("GET", path, urlencode(params))
        assert status == 200, body
        return body

    async def raw(self, method: str, path: str, query: str) -> tuple[int, Any]:
        """A request with a query as it is; status and decoded body."""
        in_body = method in ("POST", "PUT")
        async with self.session.request(
            method,
            URL(path if in_body or not query else f"{path}?{query}", encoded=True),
            data=query if in_body else None,
            headers={"X-MBX-APIKEY": self.key.key, "Content-Type": "application/x-www-form-urlencoded"},
        ) as answer:
            self.headers = answer.headers
            return answer.status, msgspec.json.decode(await answer.read())

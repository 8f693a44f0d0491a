"""ccxt's own classes, unmodified, pointed at a simulated venue."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.wire.accounts import Key
    from tests.wire.simulator import Simulator

__all__ = ["ccxt_client", "redirect"]


def redirect(urls: Any, target: Callable[[str], str]) -> Any:
    """The same nested addresses with scheme and host replaced by what `target` gives for each."""
    if isinstance(urls, dict):
        return {name: redirect(value, target) for name, value in urls.items()}
    if not isinstance(urls, str) or "://" not in urls:
        return urls
    there = urlsplit(target(urls))
    parts = urlsplit(urls)
    return urlunsplit((there.scheme, there.netloc, parts.path, parts.query, parts.fragment))


def ccxt_client(
    name: str,
    simulator: Simulator,
    key: Key | None = None,
    *,
    ca_file: str = "",
    options: Mapping[str, Any] | None = None,
) -> Any:
    """A streaming exchange class of ccxt (which is the REST class too) at a simulator.

    Args:
        name: ccxt's id, such as `binance`.
        simulator: Where it is to go instead of the real venue.
        key: Signs its requests.
        ca_file: What it trusts, for TLS.
        options: More of its configuration.
    """
    config: dict[str, Any] = {"enableRateLimit": False, "newUpdates": True, **(options or {})}
    if key is not None:
        config |= {"apiKey": key.key, "secret": key.secret, "password": key.passphrase}
    exchange = getattr(importlib.import_module("ccxt.pro"), name)(config)
    exchange.urls["api"] = redirect(
        exchange.urls["api"], lambda url: simulator.ws if url.startswith("ws") else simulator.rest
    )
    if ca_file:
        exchange.cafile = ca_file
    return exchange

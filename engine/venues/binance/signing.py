"""Signatures of requests over Binance's WebSocket API, with each kind of key that it knows."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import quote

from engine.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.credentials import Credentials

__all__ = ["signed"]


def signed(params: Mapping[str, str | int], credentials: Credentials) -> dict[str, str | int]:
    """The parameters with the account's key and their signature.

    Raises:
        AuthenticationError: The secret is a private key that cannot be read.
    """
    full = dict(sorted({**params, "apiKey": credentials.key}.items()))
    payload = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in full.items())
    return {**full, "signature": _signature(payload.encode(), credentials.secret)}


def _signature(payload: bytes, secret: str) -> str:
    if "PRIVATE KEY" not in secret:
        return hmac.new(secret.encode(), payload, hashlib.sha256).hexdigest()
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(secret.encode(), None)
    except (ValueError, TypeError):
        # What the library says about it may quote it.
        raise AuthenticationError("The private key cannot be read; check it with `quarterdeck keys test`.") from None
    if isinstance(key, Ed25519PrivateKey):
        return base64.b64encode(key.sign(payload)).decode()
    if isinstance(key, RSAPrivateKey):
        return base64.b64encode(key.sign(payload, PKCS1v15(), hashes.SHA256())).decode()
    raise AuthenticationError("Binance takes HMAC secrets and private keys of the kinds Ed25519 and RSA only.")

"""JSON web tokens of Coinbase's streams: each subscription of an account carries a fresh one, good for two minutes.

Keys of the developer platform come in two kinds: EC keys (a PEM, signed ES256) whose name is
`organizations/…/apiKeys/…`, and Ed25519 keys (base64 of 64 bytes, signed EdDSA) whose name is a plain id.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import AuthenticationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.credentials import Credentials

__all__ = ["GOOD_FOR_S", "TokenMaker"]

GOOD_FOR_S = 120
"""A token is taken for so long; a subscription made with it stays beyond that."""


def _text(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class TokenMaker:
    """Makes tokens of one key. It shows no part of the key anywhere.

    Args:
        credentials: The key. Line ends of a PEM that are written out as backslash and n are understood.

    Raises:
        AuthenticationError: The secret is neither kind of key.
    """

    def __init__(self, credentials: Credentials) -> None:
        self._name = credentials.key
        secret = credentials.secret.strip()
        if secret.startswith("-----BEGIN"):
            self._sign, self._alg = _ec_signer(secret.replace("\\n", "\n")), "ES256"
        else:
            self._sign, self._alg = _ed25519_signer(secret), "EdDSA"

    def __repr__(self) -> str:
        return "TokenMaker(…)"

    def make(self, now: int) -> str:
        """A token for a subscription.

        Args:
            now: The venue's clock in UTC nanoseconds.
        """
        began = now // 1_000_000_000
        header = {"alg": self._alg, "typ": "JWT", "kid": self._name, "nonce": secrets.token_hex(16)}
        claims: dict[str, Any] = {
            "iss": "cdp",
            "sub": self._name,
            "nbf": began,
            "iat": began,
            "exp": began + GOOD_FOR_S,
        }
        head = _text(msgspec.json.encode(header)) + b"." + _text(msgspec.json.encode(claims))
        return (head + b"." + _text(self._sign(head))).decode()


def _ec_signer(pem: str) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        raise _unusable() from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unusable()

    def sign(data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return sign


def _ed25519_signer(secret: str) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise _unusable() from None
    if len(raw) not in (32, 64):
        raise _unusable()
    return Ed25519PrivateKey.from_private_bytes(raw[:32]).sign


def _unusable() -> AuthenticationError:
    # Without the parser's own words: they may quote the key.
    return AuthenticationError(
        "The secret is no Coinbase key. Use the private key of a CDP key: the whole PEM of an EC key, or the base64 "
        "text of an Ed25519 key."
    )

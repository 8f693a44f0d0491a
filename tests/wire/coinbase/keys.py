"""Keys of Coinbase's developer platform, and the tokens signed with them as the venue verifies them."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

if TYPE_CHECKING:
    from tests.wire.accounts import Key, KeyRing

__all__ = ["GOOD_FOR_S", "ec_fields", "ed25519_fields", "key_of_token"]

GOOD_FOR_S = 120
_LEEWAY_S = 5
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def ec_fields(seed: str) -> dict[str, Any]:
    """Fields of an EC key (`Exchange.open_account`), the same for the same seed."""
    digest = hashlib.sha256(f"ec {seed}".encode()).digest()
    private = ec.derive_private_key(int.from_bytes(digest, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    name = f"organizations/{_uuid('organization')}/apiKeys/{_uuid(f'ec {seed}')}"
    return {"key": name, "secret": pem.decode(), "public": private.public_key()}


def ed25519_fields(seed: str) -> dict[str, Any]:
    """Fields of an Ed25519 key, the same for the same seed."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"ed {seed}".encode()).digest())
    public = private.public_key()
    raw = private.private_bytes_raw() + public.public_bytes_raw()
    return {"key": _uuid(f"ed {seed}"), "secret": base64.b64encode(raw).decode(), "public": public}


def _uuid(seed: str) -> str:
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"


def _part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_of_token(token: str, ring: KeyRing, now_s: float, uris: tuple[str, ...] = ()) -> Key | None:
    """Who signed a token; None for one that is not taken.

    Args:
        token: As it came.
        ring: All keys.
        now_s: The venue's time, UTC seconds.
        uris: `METHOD host/path` in all forms that the token may name; none for a stream, whose tokens name none.
    """
    try:
        head, body, signature = token.split(".")
        header, claims = msgspec.json.decode(_part(head)), msgspec.json.decode(_part(body))
        raw = _part(signature)
    except (ValueError, msgspec.DecodeError):
        return None
    key = ring.find(str(header.get("kid")))
    if key is None or key.expired or not _signed(key, header.get("alg"), f"{head}.{body}".encode(), raw):
        return None
    if claims.get("iss") not in ("cdp", "coinbase-cloud") or claims.get("sub") != key.key or not header.get("nonce"):
        return None
    begins, ends = claims.get("nbf", 0), claims.get("exp", 0)
    if not (begins - _LEEWAY_S <= now_s < ends and ends - begins <= GOOD_FOR_S):
        return None
    named = claims.get("uris") or ([claims["uri"]] if "uri" in claims else [])
    return key if not uris or (len(named) == 1 and named[0] in uris) else None


def _signed(key: Key, alg: Any, data: bytes, signature: bytes) -> bool:
    try:
        if isinstance(key.public, ec.EllipticCurvePublicKey):
            if alg != "ES256" or len(signature) != 64:
                return False
            r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            key.public.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
        else:
            if alg != "EdDSA":
                return False
            key.public.verify(signature, data)
    except InvalidSignature:
        return False
    return True

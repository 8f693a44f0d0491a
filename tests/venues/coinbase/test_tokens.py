"""Tokens of both kinds of keys, verified with the public half."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from engine.errors import AuthenticationError
from engine.model.credentials import Credentials
from engine.venues.coinbase.tokens import GOOD_FOR_S, TokenMaker

NOW = 1_786_309_548_228_568_804


def part(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def ec_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    ).decode()


def test_an_ec_key_signs_es256() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    token = TokenMaker(Credentials(key="organizations/1/apiKeys/2", secret=ec_pem(key))).make(NOW)
    head, claims, signature = token.split(".")
    raw = part(signature)
    der = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.public_key().verify(der, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    told = json.loads(part(head))
    assert (told["alg"], told["kid"], len(told["nonce"])) == ("ES256", "organizations/1/apiKeys/2", 32)
    body = json.loads(part(claims))
    assert body["sub"] == told["kid"]
    assert body["exp"] - body["nbf"] == GOOD_FOR_S
    assert body["nbf"] == NOW // 1_000_000_000
    assert "uri" not in body


def test_a_pem_on_one_line_is_understood() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    maker = TokenMaker(Credentials(key="organizations/1/apiKeys/2", secret=ec_pem(key).replace("\n", "\\n")))
    assert maker.make(NOW).count(".") == 2


def test_an_ed25519_key_signs_eddsa() -> None:
    key = Ed25519PrivateKey.generate()
    raw = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    maker = TokenMaker(Credentials(key="d2efa49a", secret=base64.b64encode(raw).decode()))
    head, claims, signature = maker.make(NOW).split(".")
    key.public_key().verify(part(signature), f"{head}.{claims}".encode())
    assert json.loads(part(head))["alg"] == "EdDSA"


def test_no_two_tokens_are_alike() -> None:
    key = Ed25519PrivateKey.generate()
    maker = TokenMaker(Credentials(key="d", secret=base64.b64encode(key.private_bytes_raw()).decode()))
    assert maker.make(NOW) != maker.make(NOW)


@pytest.mark.parametrize(
    "secret", ["", "hunter2", "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----", "AAAA"]
)
def test_what_is_no_key_is_refused_without_being_quoted(secret: str) -> None:
    with pytest.raises(AuthenticationError) as caught:
        TokenMaker(Credentials(key="k", secret=secret))
    assert not secret or secret not in str(caught.value)


def test_a_maker_shows_nothing_of_its_key() -> None:
    key = Ed25519PrivateKey.generate()
    secret = base64.b64encode(key.private_bytes_raw()).decode()
    assert secret[:8] not in repr(TokenMaker(Credentials(key="the-name", secret=secret)))

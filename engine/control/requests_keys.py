"""What may be asked about keys; what is secret in a request is shown nowhere."""

from __future__ import annotations

from pydantic import Field, SecretStr

from engine.control.requests import Request

__all__ = ["AddKey", "KeyOf", "NewPassphrase", "TryKey", "Unlock"]


class KeyOf(Request):
    """One account's key."""

    venue: str = Field(min_length=2, max_length=20, description="Venue, such as BINANCE.")
    account: str = Field("", max_length=32, description="Account there; none for the one of the settings.")


class TryKey(KeyOf):
    """The key that is tried out."""

    unlock: SecretStr = Field(
        SecretStr(""), description="Passphrase of the encrypted file, where no engine runs that has it open."
    )


class AddKey(KeyOf):
    """A key to be kept."""

    key: SecretStr = Field(description="The key, as the venue shows it.")
    secret: SecretStr = Field(description="Its secret; of Coinbase the whole PEM text.")
    passphrase: SecretStr = Field(SecretStr(""), description="The key's passphrase, where the venue has one (OKX).")
    unlock: SecretStr = Field(
        SecretStr(""), description="Passphrase of the encrypted file; a new one when there is no file yet."
    )


class Unlock(Request):
    """Opens the encrypted file."""

    passphrase: SecretStr = Field(description="Passphrase of the encrypted file.")


class NewPassphrase(Request):
    """Another passphrase for the encrypted file."""

    old: SecretStr = Field(description="The passphrase that opens it now.")
    new: SecretStr = Field(description="The one that opens it from now on.")

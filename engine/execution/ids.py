"""Client order ids that can never repeat: instance, epoch, a random part of the start, and sequence."""

from __future__ import annotations

from engine.model.ids import ClientOrderId

__all__ = ["ClientIds", "is_of"]

NONCE = 5
"""Letters and digits that are drawn at every start."""
LENGTHS = (20, 20 + NONCE)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _base36(number: int, width: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = _DIGITS[rest] + text
    return text.rjust(width, "0")


class ClientIds:
    """Makes ids of the form `Q` + instance (8) + epoch (4) + nonce (5) + sequence (7): 25 characters of [A-Za-z0-9].

    The sequence is the number of the fact that books the intent, so an id is used once by construction. The nonce is
    drawn at every start: a journal that somebody puts back from a copy opens an epoch a second time, and the venue
    knows ids of the first.

    Args:
        instance: The journal's instance.
        epoch: The epoch that is written under.
        nonce: Random; empty in a backtest, whose ids are the same every time.
    """

    def __init__(self, instance: str, epoch: int, nonce: str = "") -> None:
        self.instance = instance
        self.epoch = epoch
        self.nonce = nonce

    def make(self, seq: int) -> ClientOrderId:
        """The id of the intent booked as fact `seq`."""
        return ClientOrderId(f"Q{self.instance}{_base36(self.epoch, 4)}{self.nonce}{_base36(seq, 7)}")

    def is_ours(self, client_id: str) -> bool:
        """True for ids of this instance, of whatever epoch."""
        return is_of(client_id, self.instance)


def is_of(client_id: str, instance: str) -> bool:
    """True for ids that an engine of this instance makes, of whatever epoch."""
    return client_id.startswith(f"Q{instance}") and len(client_id) in LENGTHS

"""Client order ids that can never repeat: instance, epoch and sequence."""

from __future__ import annotations

from engine.model.ids import ClientOrderId

__all__ = ["ClientIds"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _base36(number: int, width: int) -> str:
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = _DIGITS[rest] + text
    return text.rjust(width, "0")


class ClientIds:
    """Makes ids of the form `Q` + instance (8) + epoch (4) + sequence (7): 20 characters of [A-Za-z0-9].

    The sequence is the number of the fact that books the intent, so an id is used once by construction.
    """

    def __init__(self, instance: str, epoch: int) -> None:
        self.instance = instance
        self.epoch = epoch

    def make(self, seq: int) -> ClientOrderId:
        """The id of the intent booked as fact `seq`."""
        return ClientOrderId(f"Q{self.instance}{_base36(self.epoch, 4)}{_base36(seq, 7)}")

    def is_ours(self, client_id: str) -> bool:
        """True for ids of this instance, of whatever epoch."""
        return client_id.startswith(f"Q{self.instance}") and len(client_id) == 20

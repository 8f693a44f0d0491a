"""What an operator may do about keys and real money: each form says what happens, and forgets what is secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from screens.form_dialog import FormDialog
from screens.form_fields import Field, Kind
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.app import QuarterdeckApp
    from engine.control.views_keys import KeyRow, KeysView
    from engine.control.views_live import LiveAccountRow, LiveView

__all__ = ["AddKeyForm", "ArmForm", "ConsentForm", "RotateForm", "UnlockForm"]

OTHER = "other"
VENUES = ("BINANCE", "BINANCEUSDM", "OKX", "COINBASE")
THREE_PARTS = ("OKX", "KUCOIN", "BITGET")
"""Venues whose keys have a passphrase of their own."""
PEM_VENUES = ("COINBASE",)
LEAST_MINUTES, MOST_MINUTES = "0", "480"


def _secrets(venue: str, keys: KeysView) -> list[Field]:
    """The fields of a key, and what opens its file where that is needed."""
    pem = venue in PEM_VENUES
    secret = "The whole PEM text, pasted with all its lines." if pem else "As the venue shows it, once."
    fields = [
        Field("key", "Key", Kind.SECRET, heading="The key", help="Paste it; it is never shown."),
        Field("secret", "Secret", Kind.SECRET, help=secret),
    ]
    if venue in THREE_PARTS or venue not in VENUES:
        own = "The passphrase of the key itself, where the venue has one."
        fields.append(Field("passphrase", "Its passphrase", Kind.SECRET, help=own, optional=venue != "OKX"))
    if keys.has_passphrase and not keys.exists:
        first = f"It will be kept in {keys.place}. The passphrase cannot be recovered."
        fields.append(Field("unlock", "New passphrase", Kind.SECRET, heading="The keys' file", help=first))
        fields.append(Field("again", "Once more", Kind.SECRET, help="The same, so that no slip locks you out."))
    elif keys.has_passphrase and keys.state == "locked":
        help_ = f"Opens {keys.place}."
        fields.append(Field("unlock", "Passphrase", Kind.SECRET, heading="The keys' file", help=help_))
    return fields


def _params(texts: Mapping[str, str]) -> dict[str, str]:
    names = ("key", "secret", "passphrase", "unlock")
    return {name: texts[name].strip() for name in names if texts.get(name, "").strip()}


def _twice(texts: Mapping[str, str]) -> dict[str, str]:
    same = texts.get("again", "") == texts.get("unlock", "") or "again" not in texts
    return {} if same else {"again": "is another passphrase than above"}


class AddKeyForm(FormDialog):
    """Keeps a key.

    Args:
        app: Knows the link.
        keys: The keys as they are.
        live: The accounts of the settings; None where that is not known.
    """

    VERB: ClassVar[str] = "Keep"
    BUSY: ClassVar[str] = "Keeping it…"

    def __init__(self, app: QuarterdeckApp, keys: KeysView, live: LiveView | None) -> None:
        super().__init__("Add a key")
        self._link = app.link
        self._keys = keys
        here = {str(row.venue): str(row.account) for row in (live.accounts if live is not None else ())}
        names = dict.fromkeys([*here, *VENUES])
        self._choices = (*((name, name) for name in names), (OTHER, "another…"))
        self._accounts = here

    def first_fields(self) -> list[Field]:
        """Return the fields for the first venue."""
        return self._fields(self._choices[0][0])

    def _fields(self, venue: str) -> list[Field]:
        fields = [Field("venue", "Venue", Kind.CHOICE, self._choices[0][0], self._choices, help="Whose key it is.")]
        if venue == OTHER:
            fields.append(Field("name", "Its name", help="The venue's name in the settings, such as KRAKEN."))
        usual = self._accounts.get(venue, "the one of the settings, else of the testnet")
        help_ = f"Account there; empty for {usual}. Accounts of testnets begin with test-."
        fields.append(Field("account", "Account", help=help_, optional=True))
        return [*fields, *_secrets(venue, self._keys)]

    def reshape(self, name: str) -> None:
        """Follow the venue."""
        if name == "venue":
            self.set_fields(self._fields(self.form.texts["venue"]))

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse two passphrases."""
        return _twice(texts)

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Keep it."""
        venue = texts["name"] if texts["venue"] == OTHER else texts["venue"]
        asked = {"venue": venue.strip().upper(), "account": texts["account"].strip(), **_params(texts)}
        return await self._link.call("keys.add", asked, request_id=request_id)


class RotateForm(FormDialog):
    """Replaces a key."""

    VERB: ClassVar[str] = "Replace"
    BUSY: ClassVar[str] = "Replacing it…"

    def __init__(self, app: QuarterdeckApp, keys: KeysView, row: KeyRow) -> None:
        said = (
            f"Replace the key of {clean(row.venue)}/{clean(row.account)}. What is connected goes on with the old one "
            "until it connects again; take that back at the venue after."
        )
        super().__init__("Rotate key", said)
        self._link = app.link
        self._keys = keys
        self._row = row

    def first_fields(self) -> list[Field]:
        """Return the parts of a key."""
        return _secrets(self._row.venue, self._keys)

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Replace it."""
        asked = {"venue": self._row.venue, "account": self._row.account, **_params(texts)}
        return await self._link.call("keys.rotate", asked, request_id=request_id)


class UnlockForm(FormDialog):
    """Opens the encrypted file of keys."""

    VERB: ClassVar[str] = "Unlock"
    BUSY: ClassVar[str] = "Unlocking…"

    def __init__(self, app: QuarterdeckApp, keys: KeysView) -> None:
        said = f"Open {clean(keys.place)} for this engine and those that follow it."
        super().__init__("Unlock the keys", said)
        self._link = app.link

    def first_fields(self) -> list[Field]:
        """Return the passphrase."""
        return [Field("passphrase", "Passphrase", Kind.SECRET, help="It is never shown.")]

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Unlock."""
        return await self._link.call("keys.unlock", {"passphrase": texts["passphrase"]}, request_id=request_id)


class ConsentForm(FormDialog):
    """Lets an account trade real money, by its name."""

    VERB: ClassVar[str] = "Agree"
    BUSY: ClassVar[str] = "Writing it down…"

    def __init__(self, app: QuarterdeckApp, row: LiveAccountRow) -> None:
        what = "use its key to look, as it takes no orders yet" if row.refused else "trade its money"
        said = f"{clean(row.words)} is an account at {clean(row.target)}. Quarterdeck will {what}, over restarts too."
        super().__init__("Agree to real money", said, danger=True)
        self._link = app.link
        self._row = row

    def first_fields(self) -> list[Field]:
        """Return the words to be typed."""
        return [Field("typed", f"Type {clean(self._row.words)}"[:60], help=f"Exactly {clean(self._row.words)}.")]

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse anything else."""
        return {} if texts["typed"].strip() == self._row.words else {"typed": f"is not {self._row.words}"}

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Agree."""
        asked = {"account": self._row.account, "typed": texts["typed"].strip()}
        return await self._link.call("live.consent", asked, request_id=request_id)


class ArmForm(FormDialog):
    """Lets this console send orders with real money for a time; nothing is sent by it.

    Args:
        app: Knows the link.
        live: The accounts and what is usual.
        account: The one that is meant; empty for the first.
        why: Why it is asked now; empty for nothing.
    """

    VERB: ClassVar[str] = "Arm"
    BUSY: ClassVar[str] = "Arming…"

    def __init__(self, app: QuarterdeckApp, live: LiveView, account: str = "", why: str = "") -> None:
        super().__init__("Arm this console for real money", why, danger=True)
        self._link = app.link
        self._live = live
        self._rows: dict[str, LiveAccountRow] = {str(row.account): row for row in live.accounts}
        self._first = account if account in self._rows else next(iter(self._rows))

    def first_fields(self) -> list[Field]:
        """Return account, time, limits and the words to be typed."""
        return self._fields(self._first)

    def _fields(self, account: str) -> list[Field]:
        row, live = self._rows[account], self._live
        choices = tuple((name, one.words) for name, one in self._rows.items())
        words = clean(row.words)
        return [
            Field("account", "Account", Kind.CHOICE, self._first, choices, help=f"Whose money: {row.target}."),
            Field(
                "minutes", "For minutes", Kind.NUMBER, f"{live.minutes:g}", minimum=LEAST_MINUTES, above=True,
                maximum=MOST_MINUTES, help="After that, or when the console leaves, it is disarmed by itself.",
            ),
            Field(
                "max_order", "One order up to", Kind.NUMBER, f"{live.max_order:f}", minimum="0", above=True,
                unit=str(row.currency), help="A larger order is refused, whatever else you confirm.",
            ),
            Field(
                "max_total", "All together", Kind.NUMBER, f"{max(live.max_total, live.max_order):f}", minimum="0",
                above=True, unit=str(row.currency), help="What was sent is counted until you disarm or arm anew.",
            ),
            Field("typed", "Type the account", help=f"Type {words} to arm. Cancelling and closing never need it."),
        ]  # fmt: skip

    def reshape(self, name: str) -> None:
        """Follow the account."""
        if name == "account":
            self.set_fields(self._fields(self.form.texts["account"]))

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Refuse anything else than the account's name."""
        words = self._rows[texts["account"]].words
        return {} if texts["typed"].strip() == words else {"typed": f"type {words}"}

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Arm."""
        asked = {
            "account": texts["account"],
            "typed": texts["typed"].strip(),
            "minutes": float(texts["minutes"].replace(",", "")),
            "max_order": texts["max_order"].replace(",", ""),
            "max_total": texts["max_total"].replace(",", ""),
        }
        view = await self._link.call("live.arm", asked, request_id=request_id)
        self.deck.armed.take(view)
        return view

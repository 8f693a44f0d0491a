"""Keys, live accounts and channels of alerts as a console is shown them; nothing of it is secret."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views_keys import KeyRow, KeysView, KeyTest
from engine.control.views_live import ArmedRow, LiveAccountRow, LiveView
from engine.control.views_records import ChannelRow
from engine.model.ids import AccountId, Currency, VenueId
from tests.kit.fake_market import MINUTE, NOW

__all__ = ["armed", "channels", "key_test", "keys", "live", "no_keys", "no_live"]

DAY = 24 * 60 * MINUTE
PLACE = "the encrypted file /home/ada/.quarterdeck/keys.sealed"


def keys(state: str = "open", reason: str = "") -> KeysView:
    """Two keys in an encrypted file."""
    known = state == "open"
    return KeysView(
        state=state,
        reason=reason,
        place=PLACE,
        has_passphrase=True,
        exists=True,
        keys=tuple(
            KeyRow(
                venue=venue,
                account=account,
                fingerprint=fingerprint if known else "",
                added=NOW - 40 * DAY if known else 0,
                rotated=rotated if known else 0,
            )
            for venue, account, fingerprint, rotated in (
                ("BINANCE", "test-binance", "3f9a-c07d", NOW - 2 * DAY),
                ("OKX", "test-okx", "b51e-44a0", 0),
            )
        ),
    )


def no_keys() -> KeysView:
    """A home folder without a key."""
    return KeysView(state="empty", reason="", place=PLACE, has_passphrase=True, exists=False, keys=())


def account(name: str, *, consented: bool = True, refused: str = "") -> LiveAccountRow:
    """A live account."""
    venue = VenueId(name.upper())
    return LiveAccountRow(
        venue=venue,
        account=AccountId(f"test-{name}"),
        target=f"{name} testnet",
        words=f"{venue}/test-{name}",
        currency=Currency("USDT"),
        consented=consented,
        refused=refused,
    )


def armed(*, mine: bool = True, until: int = NOW + 15 * MINUTE) -> ArmedRow:
    """A console that is armed."""
    return ArmedRow(
        actor="ada@harbour",
        venue=VenueId("BINANCE"),
        account=AccountId("test-binance"),
        mine=mine,
        until=until,
        currency=Currency("USDT"),
        max_order=Decimal(100),
        max_total=Decimal(1000),
        used=Decimal("240.50"),
    )


def live(*armed: ArmedRow) -> LiveView:
    """One account that is agreed to, and one that is not."""
    return LiveView(
        accounts=(account("binance"), account("okx", consented=False)),
        armed=armed,
        minutes=15.0,
        max_order=Decimal(100),
        max_total=Decimal(1000),
    )


def no_live() -> LiveView:
    """Settings without a live account."""
    return LiveView(accounts=(), armed=(), minutes=15.0, max_order=Decimal(100), max_total=Decimal(1000))


def channels() -> list[ChannelRow]:
    """One that works, and one that does not."""
    return [
        ChannelRow(name="ntfy 1", sent=12, given_up=0, waiting=0, problem=""),
        ChannelRow(name="tgram 2", sent=3, given_up=1, waiting=2, problem="the service refused it"),
    ]


def key_test() -> KeyTest:
    """A key that may do too much, at a venue that does not say everything."""
    return KeyTest(
        venue="BINANCE",
        account="test-binance",
        target="binance testnet",
        read=True,
        trade=True,
        withdraw=True,
        derivatives=None,
        ip_restricted=None,
        expires=None,
        note="",
        clock_offset_ms=-12.0,
        balances=3,
        warnings=("The key may withdraw money. Take that permission away at BINANCE.",),
    )

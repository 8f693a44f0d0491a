"""The screen of settings: keys that nobody sees, real money by its name, and channels of alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from textual import events

from engine.errors import SecurityError, ValidationError
from screens.form import Form
from screens.form_editor import FormEditor
from screens.settings import NO_CHANNEL
from screens.settings_figures import answer_lines, left_text
from tests.kit import fake_keys
from tests.kit.deck import console
from tests.kit.fake_link import FakeLink
from tests.kit.fake_market import MINUTE, NOW

if TYPE_CHECKING:
    from tests.kit.deck import Console

PEM = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIabc\nDEF==\n-----END EC PRIVATE KEY-----"


async def form_of(deck: Console, *keys: str) -> Form:
    await deck.press(*keys)
    await deck.settle()
    deck.pass_guard()
    return deck.app.screen.query_one(Form)


async def paste(deck: Console, text: str) -> None:
    """Paste into whatever has the focus, as a terminal does it."""
    field = deck.app.focused
    assert field is not None
    field.post_message(events.Paste(text))
    await deck.settle()


async def put(deck: Console, form: Form, **texts: str) -> None:
    for name, text in texts.items():
        form.go(name)
        await deck.settle()
        await paste(deck, text)


def everything(deck: Console) -> str:
    """Whatever the console holds in sight, in fields, in the copy buffer and in a picture."""
    fields = [editor.value for screen in deck.app.stack() for editor in screen.query(FormEditor)]
    return "\n".join([deck.text(), *fields, deck.app.clipboard, deck.app.export_screenshot()])


# --- what it shows ---------------------------------------------------------------------------------------------------


async def test_keys_live_accounts_and_channels_are_shown() -> None:
    link = FakeLink()
    link.data["live.status"] = fake_keys.live(fake_keys.armed(), fake_keys.armed(mine=False))
    async with console(link, size=(120, 40), screen="settings") as deck:
        await deck.settle()
        page = deck.text()
        for what in ("OPEN", "2 keys in the encrypted file", "3f9a-c07d", "2026-03-12 15:09", "BINANCE/test-binance"):
            assert what in page
        for what in ("not agreed", "this console", "ARMED 15:00", "240.50 of 1,000.00 USDT", "ada@harbour"):
            assert what in page
        for what in ("ntfy 1", "the service refused it"):
            assert what in page


@pytest.mark.parametrize("state", ["locked", "failed"])
async def test_keys_that_cannot_be_had_say_why(state: str) -> None:
    link = FakeLink()
    link.data["keys.list"] = fake_keys.keys(state, "The reason is told in words.")
    async with console(link, screen="settings") as deck:
        await deck.settle()
        assert state.upper() in deck.text()
        assert "The reason is told in words." in deck.text()


async def test_a_home_without_keys_says_how_to_add_one() -> None:
    async with console(FakeLink("empty"), screen="settings") as deck:
        await deck.settle()
        assert "EMPTY" in deck.text()
        assert "a = add one" in deck.text()


@pytest.mark.parametrize("size", [(60, 15), (40, 10)])
async def test_a_small_terminal_does_not_end_it(size: tuple[int, int]) -> None:
    async with console(size=size, screen="settings") as deck:
        for key in ("a", "escape", "m", "escape", "t", "escape", "p"):
            await deck.press(key)
        assert "Quarterdeck" in deck.app.TITLE


# --- keys ------------------------------------------------------------------------------------------------------------


async def test_a_key_is_pasted_kept_and_forgotten() -> None:
    async with console(screen="settings") as deck:
        form = await form_of(deck, "a")
        form.put("venue", "COINBASE")
        await put(deck, form, account="main", key="organizations/abc", secret=PEM + "\n")
        assert "organizations/abc" not in deck.text()
        assert "MHcCAQEEIabc" not in everything(deck).replace(deck.app.focused.value, "")  # type: ignore[union-attr]
        await deck.press("enter")
        asked = deck.link.called("keys.add")[0].params
        assert asked == {"venue": "COINBASE", "account": "main", "key": "organizations/abc", "secret": PEM}
        assert deck.dialog() == ""
        assert "COINBASE" in deck.text()
        for secret in ("organizations/abc", "MHcCAQEEIabc"):
            assert secret not in everything(deck)
        assert all(secret not in str(form.texts) for secret in ("organizations/abc", "MHcCAQEEIabc"))


async def test_a_pem_text_may_come_line_by_line() -> None:
    async with console(screen="settings") as deck:
        form = await form_of(deck, "a")
        form.put("venue", "COINBASE")
        await put(deck, form, key="k")
        form.go("secret")
        await deck.settle()
        for line in PEM.splitlines():
            await paste(deck, line)
            await deck.press("enter")
        assert deck.link.called("keys.add")[0].params["secret"] == PEM


async def test_a_secret_is_neither_shown_nor_copied() -> None:
    async with console(screen="settings") as deck:
        form = await form_of(deck, "a")
        await put(deck, form, key="hush-hush")
        editor = form.query_one(FormEditor)
        editor.action_select_all()
        editor.action_copy()
        assert deck.app.clipboard == ""
        assert "hush" not in deck.text()
        form.go("account")
        await deck.settle()
        assert "hush" not in deck.text()
        assert "********" in deck.text()
        form.go("key")
        await deck.settle()
        editor.action_select_all()
        editor.action_cut()
        await deck.settle()
        assert (deck.app.clipboard, form.texts["key"]) == ("", "")


async def test_leaving_a_form_forgets_its_secrets() -> None:
    async with console(screen="settings") as deck:
        form = await form_of(deck, "a")
        await put(deck, form, key="hush-hush")
        await deck.press("escape")
        assert form.texts["key"] == ""
        assert deck.link.called("keys.add") == []


async def test_a_new_file_asks_for_its_passphrase_twice() -> None:
    async with console(FakeLink("empty"), screen="settings") as deck:
        await deck.settle()
        form = await form_of(deck, "a")
        await put(deck, form, key="k", secret="s", unlock="one long phrase", again="another")
        await deck.press("enter")
        assert "is another passphrase than above" in deck.words()
        form.put("again", "one long phrase")
        await deck.press("enter")
        assert deck.link.called("keys.add")[0].params["unlock"] == "one long phrase"


async def test_what_is_refused_stays_to_be_corrected() -> None:
    link = FakeLink()
    link.refuse("keys.rotate", ValidationError("A key has two parts."))
    async with console(link, screen="settings") as deck:
        form = await form_of(deck, "r")
        await put(deck, form, key="k", secret="s")
        await deck.press("enter")
        assert "A key has two parts." in deck.words()
        link.refuse("keys.rotate", None)
        await deck.press("enter")
        asked = deck.link.called("keys.rotate")[-1].params
        assert asked == {"venue": "BINANCE", "account": "test-binance", "key": "k", "secret": "s"}


async def test_a_key_is_removed_on_a_word() -> None:
    async with console(screen="settings") as deck:
        await deck.press("j", "x")
        deck.pass_guard()
        await deck.press("enter")
        assert deck.link.called("keys.remove") == []
        await deck.press("y")
        await deck.settle()
        assert deck.link.called("keys.remove")[0].params == {"venue": "OKX", "account": "test-okx"}
        assert "b51e-44a0" not in deck.text()


async def test_locked_keys_are_unlocked_with_a_passphrase_nobody_sees() -> None:
    link = FakeLink()
    link.data["keys.list"] = fake_keys.keys("locked", "The keys are locked.")
    async with console(link, screen="settings") as deck:
        await deck.settle()
        form = await form_of(deck, "p")
        await put(deck, form, passphrase="correct horse")
        assert "correct" not in deck.text()
        await deck.press("enter")
        await deck.settle()
        assert deck.link.called("keys.unlock")[0].params == {"passphrase": "correct horse"}
        assert "OPEN" in deck.text()
        assert "correct horse" not in everything(deck)
        await deck.press("L")
        deck.pass_guard()
        await deck.press("y")
        await deck.settle()
        assert "LOCKED" in deck.text()


async def test_a_test_of_a_key_warns_and_does_not_guess() -> None:
    async with console(screen="settings") as deck:
        await deck.press("t")
        words = deck.words()
        for what in ("May withdraw yes", "take that permission away", "Derivatives unknown", "-12 ms"):
            assert what.casefold() in words.casefold()


def test_what_a_venue_does_not_say_is_never_no() -> None:
    lines = ["".join(text for text, _ in line) for line in answer_lines(fake_keys.key_test(), ZoneInfo("UTC"))]
    assert any(line.startswith("Bound to addresses") and "unknown" in line for line in lines)


# --- real money ------------------------------------------------------------------------------------------------------


async def test_an_account_is_agreed_to_by_its_name() -> None:
    async with console(screen="settings") as deck:
        await deck.press("tab", "j")
        form = await form_of(deck, "e")
        await put(deck, form, typed="OKX/other")
        await deck.press("enter")
        assert deck.link.called("live.consent") == []
        form.put("typed", "OKX/test-okx")
        await deck.press("enter")
        await deck.settle()
        assert deck.link.called("live.consent")[0].params == {"account": "test-okx", "typed": "OKX/test-okx"}
        assert "not agreed" not in deck.text()


async def test_that_nobody_is_alerted_stands_in_its_pane_and_greets_nobody() -> None:
    link = FakeLink()
    link.data["alerts.channels"] = []
    async with console(link, screen="settings") as deck:
        assert "Alerts · no channel is set" in deck.text()
        assert not deck.app._notifications
        await deck.resize(80, 40)
        await deck.settle()
        assert NO_CHANNEL in deck.words()


async def test_a_console_is_armed_for_a_time_and_disarmed() -> None:
    async with console(screen="settings") as deck:
        form = await form_of(deck, "m")
        assert form.texts["minutes"] == "15"
        form.go("minutes")
        await deck.press("5")
        assert form.texts["minutes"] == "5"
        await put(deck, form, typed="BINANCE/test-binance")
        await deck.press("enter")
        await deck.settle()
        asked = deck.link.called("live.arm")[0].params
        assert (asked["account"], asked["minutes"], asked["max_order"]) == ("test-binance", 5.0, "100")
        assert "ARMED 5:00" in deck.text().splitlines()[0]
        deck.time.seconds += 61
        await deck.settle()
        assert "ARMED 3:59" in deck.text().splitlines()[0]
        await deck.press("s")
        await deck.settle()
        assert "ARMED" not in deck.text()


async def test_a_console_whose_link_is_lost_does_not_count_as_armed() -> None:
    link = FakeLink()
    link.data["live.status"] = fake_keys.live(fake_keys.armed())
    async with console(link, screen="settings") as deck:
        await deck.settle()
        assert "ARMED" in deck.text().splitlines()[0]
        link.lose()
        deck.app._catch_up()
        await deck.settle()
        assert "ARMED" not in deck.text().splitlines()[0]


def test_time_left_is_said_to_the_second() -> None:
    assert [left_text(NOW + 15 * MINUTE, NOW), left_text(NOW + 61 * MINUTE, NOW), left_text(NOW, NOW + 1)] == [
        "15:00",
        "1:01:00",
        "0:00",
    ]


# --- alerts ----------------------------------------------------------------------------------------------------------


async def test_a_test_alert_tells_which_channel_failed() -> None:
    async with console(screen="settings") as deck:
        await deck.press("f")
        deck.pass_guard()
        await deck.press("y")
        await deck.settle()
        assert len(deck.link.called("alerts.test")) == 1
        assert "tgram 2: the service refused it" in deck.words()


async def test_a_refusal_to_look_is_told_and_nothing_breaks() -> None:
    link = FakeLink()
    link.refuse("keys.list", SecurityError("Only administrators see keys."))
    async with console(link, screen="settings") as deck:
        await deck.settle()
        await deck.press("a", "r", "p")
        assert deck.dialog() == ""

"""Dialogs: they take no key before they have been drawn, say what will happen, and ask once.

A key typed ahead can arrive before the dialog it would confirm is on the screen. So a dialog is *armed* only when its
first frame has gone to the terminal and a moment has passed; until then only Esc is heard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, cast

from textual.containers import Vertical
from textual.content import Content
from textual.screen import ScreenResultType
from textual.widgets import Input, Static

from console.actions import bindings
from engine.control.live.arming import NOT_ARMED
from engine.errors import QuarterdeckError
from screens.sheet import Line, Sheet
from widgets.text import clean
from widgets.veil import VeiledScreen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.message import Message

    from console.app import QuarterdeckApp

__all__ = ["GUARD_S", "ConfirmDialog", "Dialog", "ErrorDialog", "SheetDialog"]

GUARD_S = 0.25
"""Seconds after the first frame before a dialog can be confirmed."""


class Dialog(VeiledScreen[ScreenResultType], Generic[ScreenResultType], inherit_bindings=False):
    """The base of all dialogs: a titled box, Esc to leave, and the guard against keys typed ahead."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("focus", "dialog")
    HELP: ClassVar[str | None] = None
    SCOPE: ClassVar[str] = "dialog"
    AUTO_FOCUS: ClassVar[str | None] = "*"
    DEFAULT_CSS: ClassVar[str] = """
    Dialog { align: center middle; background: $background 55%; }
    Dialog > #box {
        width: 66; max-width: 96%; height: auto; max-height: 94%;
        border: round $brass; border-title-color: $brass; border-title-style: bold; border-subtitle-color: $muted;
        background: $surface; padding: 1 2;
    }
    Dialog.-danger > #box { border: round $breach; border-title-color: $breach; }
    Dialog .hint { color: $muted; margin-top: 1; width: 1fr; height: auto; }
    Dialog .said { color: $foreground; width: 1fr; height: auto; }
    Dialog .strong { color: $foreground; text-style: bold; width: 1fr; height: auto; }
    Dialog .trouble { color: $breach; width: 1fr; height: auto; margin-top: 1; }
    Dialog Sheet { height: auto; max-height: 16; border: none; padding: 0; }
    Dialog Input { border: tall $faint; background: $panel; height: 3; width: 1fr; }
    Dialog Input:focus { border: tall $brass; }
    """

    def __init__(self, title: str = "", *, danger: bool = False) -> None:
        super().__init__()
        self._heading = title
        self._drawn_at: float | None = None
        self.set_class(danger, "-danger")

    def body(self) -> ComposeResult:
        """Yield what stands in the box."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Put the body in the box."""
        with Vertical(id="box") as box:
            box.border_title = Content(clean(self._heading))
            yield from self.body()

    @property
    def deck(self) -> QuarterdeckApp:
        """The app."""
        return cast("QuarterdeckApp", self.app)

    @property
    def armed(self) -> bool:
        """Whether the dialog has been on the screen long enough to be meant by a key."""
        return self._drawn_at is not None and self.deck.steady() - self._drawn_at >= GUARD_S

    def note_drawn(self) -> None:
        """Told by the app when a frame with this dialog has gone to the terminal."""
        if self._drawn_at is None:
            self._drawn_at = self.deck.steady()

    def guard_again(self) -> None:
        """Take no confirmation until the next frame has been drawn, because what is asked has changed."""
        self._drawn_at = None

    def action_dismiss_dialog(self) -> None:
        """Leave without doing anything."""
        self.dismiss(None)

    def action_accept(self) -> None:
        """Do nothing; dialogs that ask override it."""

    def action_yes(self) -> None:
        """Do nothing; dialogs that ask override it."""

    def action_copy(self) -> None:
        """Copy the dialog's text."""
        text = self.text()
        if text:
            self.app.copy_to_clipboard(text)
            self.notify("Copied.", markup=False)

    def text(self) -> str:
        """What is copied; empty for nothing."""
        return ""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            # A dialog's failure would end its message loop, and with it the app.
            if not self.deck.report(error, where=f"{type(self).__name__}: {type(message).__name__}"):
                raise


class ConfirmDialog(Dialog[Any]):
    """Says what will happen, does it on the person's word, and stays until it is known what came of it.

    Args:
        title: The heading.
        sentence: Exactly what will be done.
        details: Lines below it.
        run: What is done; its result is the dialog's. None makes the dialog end with True.
        verb: The word for doing it, such as `Send`.
        danger: Enter does nothing then, only `y` does.
        word: A word that must be typed first; empty for none.
    """

    def __init__(
        self,
        title: str,
        sentence: str,
        details: Sequence[Line] = (),
        *,
        run: Callable[[], Awaitable[Any]] | None = None,
        verb: str = "Do it",
        busy: str = "Under way…",
        danger: bool = False,
        word: str = "",
    ) -> None:
        super().__init__(title, danger=danger)
        self._sentence = clean(sentence)
        self._details = list(details)
        self._run = run
        self._verb = verb
        self._busy = busy
        self._danger = danger
        self._word = word
        self._under_way = False

    def body(self) -> ComposeResult:
        """Yield the sentence, its details and the keys."""
        yield Static(self._sentence, classes="strong", markup=False, id="sentence")
        if self._details:
            sheet = Sheet(self._details, id="details")
            sheet.can_focus = len(self._details) > 16
            sheet.styles.margin = (1, 0, 0, 0)
            yield sheet
        trouble = Static("", classes="trouble", markup=False, id="trouble")
        trouble.display = False
        yield trouble
        if self._word:
            field = Input(placeholder=f"type {self._word}", id="word", select_on_focus=False)
            field.cursor_blink = False
            yield field
        yield Static(self._hint(), classes="hint", markup=False, id="hint")

    def _hint(self) -> str:
        if self._word:
            return f"Type {self._word} and press Enter: {self._verb}    Esc: Back"
        return f"y: {self._verb}    Esc: Back" if self._danger else f"Enter or y: {self._verb}    Esc: Back"

    def action_accept(self) -> None:
        """Take Enter as the person's word, unless that would destroy something."""
        if not self._danger and not self._word:
            self._go()

    def action_yes(self) -> None:
        """Take `y` as the person's word."""
        if not self._word:
            self._go()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the typed word."""
        event.stop()
        if event.value.strip().casefold() == self._word.casefold():
            self._go()
        else:
            self._say_trouble(f"That is not {self._word}.")

    def action_dismiss_dialog(self) -> None:
        """Leave, unless the answer is still awaited."""
        if not self._under_way:
            self.dismiss(None)

    def text(self) -> str:
        """The sentence and what went wrong."""
        return self._sentence

    def _go(self) -> None:
        if self._under_way or not self.armed:
            return
        if self._run is None:
            self.dismiss(True)
            return
        self._under_way = True
        self._say_trouble("")
        self.query_one("#hint", Static).update(self._busy)
        self.run_worker(self._do(self._run), name="confirmed", exit_on_error=False)

    async def _do(self, run: Callable[[], Awaitable[Any]]) -> None:
        try:
            result = await run()
        except QuarterdeckError as error:
            self._under_way = False
            self._say_trouble(f"{error.title}: {error.message}")
            self.query_one("#hint", Static).update(self._hint())
            if error.error_code == NOT_ARMED:
                self.deck.armed.ask(why=error.message, then=self._armed)
        except Exception as error:
            # Task root: whatever the call raised, the person must see that nothing is known.
            self._under_way = False
            deck = self.deck
            self.dismiss(None)
            deck.report(error, where=self._verb)
        else:
            self.dismiss(True if result is None else result)

    def _armed(self) -> None:
        """The console is armed now; what was refused is sent again by the person alone."""
        self._say_trouble("")
        self.query_one("#hint", Static).update(f"Armed; nothing was sent yet. {self._hint()}")
        self.guard_again()

    def _say_trouble(self, text: str) -> None:
        trouble = self.query_one("#trouble", Static)
        trouble.update(clean(text))
        trouble.display = bool(text)


class SheetDialog(Dialog[None]):
    """A page to read: help, activity, an error."""

    DEFAULT_CSS: ClassVar[str] = """
    SheetDialog > #box { width: 76; padding: 0 1; height: 90%; }
    SheetDialog > #box > Sheet { height: 1fr; max-height: 100%; }
    """

    def __init__(self, title: str, lines: Sequence[Line], *, danger: bool = False, end: bool = False) -> None:
        super().__init__(title, danger=danger)
        self._lines = list(lines)
        self._end = end

    def body(self) -> ComposeResult:
        """Yield the page."""
        yield Sheet(self._lines, end=self._end)

    def on_mount(self) -> None:
        """Name the keys in the border."""
        self.query_one("#box").border_subtitle = "j/k move · ^y copy · Esc back"

    def action_accept(self) -> None:
        """Leave."""
        self.dismiss(None)

    def text(self) -> str:
        """The whole page."""
        return "\n".join("".join(part for part, _ in line) for line in self._lines)


class ErrorDialog(Dialog[None]):
    """Something went wrong in the console itself; it goes on.

    Args:
        title: The heading.
        message: One or two sentences.
        trace: The technical part, which can be copied.
    """

    def __init__(self, title: str, message: str, trace: str = "") -> None:
        super().__init__(title, danger=True)
        self._message = clean(message)
        self._trace = trace

    def body(self) -> ComposeResult:
        """Yield message, trace and keys."""
        yield Static(self._message, classes="said", markup=False)
        if self._trace:
            lines: list[Line] = [[(clean(line), "muted")] for line in self._trace.splitlines()[-12:]]
            sheet = Sheet(lines)
            sheet.styles.margin = (1, 0, 0, 0)
            yield sheet
        yield Static("^y: Copy    Esc: Back    The engine is not affected.", classes="hint", markup=False)

    def action_accept(self) -> None:
        """Leave, once it has been seen."""
        if self.armed:
            self.dismiss(None)

    def text(self) -> str:
        """Message and trace."""
        return f"{self._message}\n{self._trace}".strip()

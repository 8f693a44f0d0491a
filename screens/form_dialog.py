"""A form in a dialog: nothing is sent before all of it is right, and what is refused stays to be corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.widgets import Input, Static

from console.actions import bindings
from console.errands import new_request_id
from engine.control.live.arming import NOT_ARMED
from engine.errors import EngineNotRunningError, QuarterdeckError, UnknownOutcomeError
from screens.dialogs import Dialog
from screens.form import Form
from screens.form_fields import PARAM, Field
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.await_complete import AwaitComplete
    from textual.binding import BindingType

__all__ = ["FormDialog"]


class FormDialog(Dialog[Any]):
    """A form in a dialog: Enter sends it once everything in it can be accepted; ends with the reply, or None.

    Subclasses implement :meth:`first_fields` and :meth:`send`; :meth:`reshape` follows what is chosen.

    Args:
        title: The heading.
        said: What will be done, above the fields.
        danger: It ends or allows something: drawn as such.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog", "form")
    SCOPE: ClassVar[str] = "form"
    HELP: ClassVar[str | None] = "Every field is checked as you type; nothing is sent before all of them are right."
    AUTO_FOCUS = "Form"
    VERB: ClassVar[str] = "Do it"
    BUSY: ClassVar[str] = "Under way…"
    DEFAULT_CSS: ClassVar[str] = """
    FormDialog > #box { width: 78; padding: 0 1; }
    FormDialog #said { max-height: 4; margin-bottom: 1; }
    FormDialog #about { height: 3; color: $muted; margin: 1 0 0 0; width: 1fr; }
    FormDialog #about.-trouble { color: $breach; }
    FormDialog .hint { margin: 0; }
    """

    def __init__(self, title: str, said: str = "", *, danger: bool = False) -> None:
        super().__init__(title, danger=danger)
        self._said = clean(said)
        self._request_id = new_request_id()
        self._under_way = False
        self._trouble = ""

    # --- for the subclasses

    def first_fields(self) -> list[Field]:
        """Return the fields to begin with."""
        raise NotImplementedError

    def reshape(self, name: str) -> None:
        """Follow what was typed into a field, for example by other fields."""

    def judge(self, texts: Mapping[str, str]) -> dict[str, str]:
        """Return what is wrong with fields that are right each by itself."""
        return {}

    async def send(self, texts: Mapping[str, str], request_id: str) -> Any:
        """Do what the form is for; what is raised is shown and the form stays."""
        raise NotImplementedError

    # --- what it looks like

    def body(self) -> ComposeResult:
        """Yield the form, a word on the field being edited, what is wrong, and the keys."""
        if self._said:
            yield Static(self._said, classes="strong", markup=False, id="said")
        yield Form(self.first_fields())
        yield Static("", markup=False, id="about")
        yield Static(self._hint(), classes="hint", markup=False, id="hint")

    def _hint(self) -> str:
        keymap = self.deck.keymap
        more, less, undo = (keymap.label(f"form.{name}") for name in ("more", "less", "restore"))
        return f"Enter {self.VERB.lower()}   ↑↓ field   ←→ choice   {more} {less} step   {undo} undo   Esc back"

    @property
    def form(self) -> Form:
        """The form."""
        return self.query_one(Form)

    def on_mount(self) -> None:
        """Give the form the room there is."""
        self._fit()

    def on_resize(self) -> None:
        """Give the form the room there is now."""
        self._fit()

    def _fit(self) -> None:
        # Border, help, keys and the room around take nine lines; the form scrolls in what is left.
        said = 3 if self._said else 0
        self.form.styles.height = max(3, min(self.form.rows_wanted, self.app.size.height - 9 - said))

    def set_fields(self, fields: Sequence[Field]) -> None:
        """Show other fields in the form."""
        self.form.set_fields(fields)
        self._fit()

    def on_form_moved(self, event: Form.Moved) -> None:
        """Say what the field is for, and how many there are."""
        event.stop()
        form = self.form
        self.query_one("#box").border_subtitle = f"{form.fields.index(form.field) + 1} of {len(form.fields)}"
        self._about()

    def on_form_changed(self, event: Form.Changed) -> None:
        """Judge again."""
        event.stop()
        self.say("")
        self.reshape(event.name)
        self.form.drain()

    def _about(self) -> None:
        field = self.form.field
        said = self.form.fault(field)
        trouble = self._trouble or (f"{field.label}: {said}." if said else "")
        about = self.query_one("#about", Static)
        about.set_class(bool(trouble), "-trouble")
        about.update(clean(trouble or field.help))

    def say(self, text: str) -> None:
        """Show what went wrong until something is typed; empty takes it back."""
        self._trouble = text
        if self.is_mounted:
            self._about()

    # --- keys

    def action_move(self, step: int) -> None:
        """Go to another field."""
        self.form.move_by(step)

    def action_step(self, steps: int) -> None:
        """Move the figure or day being edited."""
        self.form.step(steps)
        self.form.drain()

    def action_restore(self) -> None:
        """Put the field back."""
        self.form.restore()
        self.form.drain()

    def action_dismiss_dialog(self) -> None:
        """Leave, unless the answer is still awaited."""
        if not self._under_way:
            self.dismiss(None)

    def dismiss(self, result: Any = None) -> AwaitComplete:
        """Leave; nothing secret stays behind in a field."""
        for form in self.query(Form):
            form.forget_secrets()
        return super().dismiss(result)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send."""
        event.stop()
        self.action_accept()

    def action_accept(self) -> None:
        """Send the form, or go to what is still wrong with it."""
        if self._under_way or not self.armed:
            return
        faults = self.form.faults()
        if not faults:
            faults = self.judge(self.form.texts)
            self.form.blame(faults)
        if faults:
            self._refuse(faults)
            return
        self.accepted(self.form.texts)

    def _refuse(self, faults: Mapping[str, str]) -> None:
        name = next(iter(faults))
        self.form.insist()
        self.form.go(name)
        label = next((field.label for field in self.form.fields if field.name == name), name)
        more = f" {len(faults) - 1} more to correct." if len(faults) > 1 else ""
        self.say(f"{label}: {faults[name].removesuffix('.')}.{more}")
        self.form.drain()

    def accepted(self, texts: Mapping[str, str]) -> None:
        """Take a faultless form: send it."""
        self._under_way = True
        self.say("")
        self.query_one("#hint", Static).update(self.BUSY)
        self.run_worker(self._send(dict(texts)), name="form", exit_on_error=False)

    async def _send(self, texts: Mapping[str, str]) -> None:
        try:
            reply = await self.send(texts, self._request_id)
        except QuarterdeckError as error:
            self._under_way = False
            if not isinstance(error, UnknownOutcomeError | EngineNotRunningError):
                # Refused for certain: another try is another request.
                self._request_id = new_request_id()
            self.query_one("#hint", Static).update(self._hint())
            self.say(f"{error.title}: {error.message}")
            self._blame(error)
            if error.error_code == NOT_ARMED:
                self.deck.armed.ask(why=error.message, then=self._armed)
        except Exception as error:
            # Task root: whatever the call raised, the person must see that nothing is known.
            self._under_way = False
            self.deck.report(error, where=self.VERB)
            self.dismiss(None)
        else:
            self.dismiss(True if reply is None else reply)

    def _armed(self) -> None:
        """The console is armed now; what was refused is sent again by the person alone."""
        self.say("")
        self.query_one("#hint", Static).update(f"Armed; nothing was sent yet. {self._hint()}")
        self.guard_again()

    def _blame(self, error: QuarterdeckError) -> None:
        faults = error.details.get("faults")
        if isinstance(faults, dict):
            known, named = self.form.texts, {str(name): str(said) for name, said in faults.items()}
            self.form.blame({f"{PARAM}{name}" if f"{PARAM}{name}" in known else name: named[name] for name in named})
            self.form.drain()

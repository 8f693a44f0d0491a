"""Choosing the theme with a live preview: the screen behind the list wears what the cursor is on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from screens.options import Option, OptionList, OptionsDialog
from themes import load_themes

if TYPE_CHECKING:
    from console.app import QuarterdeckApp

__all__ = ["ThemeDialog"]


class ThemeDialog(OptionsDialog):
    """Lists our own themes; Esc gives back the one worn before."""

    DEFAULT_CSS: ClassVar[str] = """
    ThemeDialog { align: right bottom; background: $background 0%; }
    ThemeDialog > #box { width: 46; margin: 0 1 1 0; }
    """

    def __init__(self, app: QuarterdeckApp) -> None:
        names = sorted(theme.name for theme in load_themes())
        notes = {theme.name: "dark" if theme.dark else "light" for theme in load_themes()}
        options = [Option(name, str(number), name, notes[name]) for number, name in enumerate(names, 1)]
        super().__init__("Theme", [], options)
        self._before = app.theme

    def on_mount(self) -> None:
        """Begin at the theme that is worn."""
        chosen = self.query_one(OptionList)
        names = [option.key for option in self.options]
        chosen.cursor = names.index(self._before) if self._before in names else 0
        chosen.mark()

    def on_option_list_moved(self, event: OptionList.Moved) -> None:
        """Wear the theme under the cursor."""
        self.app.theme = event.option.key

    def action_dismiss_dialog(self) -> None:
        """Give back the theme worn before."""
        self.app.theme = self._before
        self.dismiss(None)

    def _choose(self, option: Option) -> None:
        self.app.theme = option.key
        self.dismiss(option.key)

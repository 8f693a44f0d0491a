"""The colours: one TOML file a theme, and the code that reads them.

    for theme in load_themes():
        app.register_theme(theme)
    app.theme = DEFAULT_THEME

A theme file holds ``name``, ``dark``, optionally ``ansi``, a table ``[base]`` with Textual's own colours and a table
``[inks]`` with every variable of :data:`OWN_VARIABLES`. A file that lacks one, has one too many or names a colour that
is none is refused with its path and the name.
"""

from __future__ import annotations

from themes.loader import DEFAULT_THEME, OWN_VARIABLES, load_theme, load_themes, variable_defaults

__all__ = ["DEFAULT_THEME", "OWN_VARIABLES", "load_theme", "load_themes", "variable_defaults"]

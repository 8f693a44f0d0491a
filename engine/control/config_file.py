"""The settings file as it is changed from outside: checked as a whole first, comments kept, written all or nothing."""

from __future__ import annotations

import difflib
import os
import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args, get_origin

import tomlkit
from tomlkit.exceptions import TOMLKitError

from engine.config import known_keys, load_settings, setting_field, setting_sources
from engine.errors import ConfigurationError, ConflictError, ValidationError
from engine.logs import redact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from engine.config import Settings

__all__ = ["Written", "plain_values", "write_settings"]

ENVIRONMENT = "the environment"
_writing = threading.Lock()
"""Two changes at once would each write the file without the other's."""


class Written(NamedTuple):
    """A file that was written."""

    file: Path
    before: dict[str, Any]
    """Setting -> plain value in force before, secrets masked; only what was asked for."""
    after: dict[str, Any]
    """What is in force at the next start."""
    outranked: dict[str, str]
    """Setting -> the stronger source that keeps it from taking effect."""


def plain_values(settings: Settings) -> dict[str, Any]:
    """Every setting as a plain value by `group.setting`, secrets masked."""
    tree = settings.model_dump(mode="json")
    found: dict[str, Any] = {}
    for key in known_keys():
        group, _, name = key.partition(".")
        found[key] = redact(tree[group][name], name) if name else redact(tree[group], group)
    return found


def write_settings(home: Path, values: Mapping[str, Any]) -> Written:
    """Change settings in `config.toml`; what comes out is checked as a whole before anything is written. Blocks.

    Args:
        home: Home folder; the file is made when it is missing.
        values: Setting (`group.setting`) -> new value, a text where a person typed it; None takes it out of the file.

    Raises:
        ValidationError: A setting is not known.
        ConfigurationError: The settings could not be used with this; nothing was written.
        ConflictError: The settings are kept in another format, or the file cannot be written.
    """
    for key in values:
        _known(key)
    file = home / "config.toml"
    if not file.is_file() and (home / "config.yaml").is_file():
        raise ConflictError(
            f"The settings are in {home / 'config.yaml'}, which only a person changes, as its comments would be lost. "
            "Edit it, or move its settings to config.toml."
        )
    with _writing:
        before = load_settings(home)
        text = _changed(file, values)
        try:
            after = load_settings(home, toml=text)
        except ConfigurationError as error:
            faults = error.details.get("faults")
            listed = faults if isinstance(faults, list) else [error.message]
            raise ConfigurationError(
                "The settings could not be used with this; nothing was written.\n"
                + "\n".join(f"  - {fault}" for fault in listed),
                details=error.details,
            ) from None
        _write(file, text)
    said = setting_sources(home)
    outranked = {key: said[key] for key in values if key in said and said[key] != str(file)}
    old, new = plain_values(before), plain_values(after)
    return Written(file, {key: old[key] for key in values}, {key: new[key] for key in values}, outranked)


def _known(key: str) -> None:
    if setting_field(key) is None:
        near = difflib.get_close_matches(key, known_keys(), 1, 0.4)
        raise ValidationError(f"{key} is not a setting." + (f" Did you mean {near[0]}?" if near else ""))


def _changed(file: Path, values: Mapping[str, Any]) -> str:
    """The file's text with these values in it."""
    try:
        document = tomlkit.parse(file.read_text(encoding="utf-8")) if file.is_file() else tomlkit.document()
    except TOMLKitError as error:
        raise ConfigurationError(f"{file} is not valid TOML: {error}. Correct it or move it away.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}.") from None
    for key, value in values.items():
        group, _, name = key.partition(".")
        if not name:
            _put(document, group, key, value)
            continue
        if group not in document:
            if value is None:
                continue
            document.add(group, tomlkit.table())
        _put(document[group], name, key, value)
    return tomlkit.dumps(document)


def _put(place: Any, name: str, key: str, value: Any) -> None:
    if value is None:
        place.pop(name, None)
    elif name in place and hasattr(place[name], "trivia"):
        # The comment behind the old value belongs to the line, not to the value.
        item = tomlkit.item(_typed(key, value))
        item.trivia.indent, item.trivia.comment_ws = place[name].trivia.indent, place[name].trivia.comment_ws
        item.trivia.comment, item.trivia.trail = place[name].trivia.comment, place[name].trivia.trail
        place[name] = item
    else:
        place[name] = tomlkit.item(_typed(key, value))


def _typed(key: str, value: Any) -> Any:
    """A typed text as the value that a person would write into the file: a number or a flag without quotes."""
    field = setting_field(key)
    if not isinstance(value, str) or field is None:
        return value
    kinds = get_args(field.annotation) or (field.annotation,)
    if str in kinds or get_origin(field.annotation) is Literal:
        return value
    try:
        return tomlkit.value(value.strip())
    except TOMLKitError:
        # A path, a secret, or a mistake that the check of the whole will name.
        return value


def _write(file: Path, text: str) -> None:
    """Write the file for its owner alone, all or nothing."""
    fresh = file.with_name(file.name + ".new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        fresh.replace(file)
    except OSError as error:
        raise ConflictError(f"{file} cannot be written ({error.strerror}); the settings are as they were.") from error

"""A keyring service for processes under test: it answers while the file it lives in is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keyring.backend
import keyring.errors

__all__ = ["FileKeyring"]


class FileKeyring(keyring.backend.KeyringBackend):
    """Keeps passwords in the file that `QUARTERDECK_TEST_KEYRING` names; without it, no session bus is there."""

    priority = 5.0

    def _held(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads(Path(os.environ["QUARTERDECK_TEST_KEYRING"]).read_text())
        except OSError:
            raise keyring.errors.InitError("no session bus") from None
        return found

    def _keep(self, held: dict[str, str]) -> None:
        Path(os.environ["QUARTERDECK_TEST_KEYRING"]).write_text(json.dumps(held))

    def get_password(self, service: str, username: str) -> str | None:
        return self._held().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._keep({**self._held(), f"{service} {username}": password})

    def delete_password(self, service: str, username: str) -> None:
        held = self._held()
        if held.pop(f"{service} {username}", None) is None:
            raise keyring.errors.PasswordDeleteError("no such password")
        self._keep(held)

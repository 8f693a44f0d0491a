"""The settings say where the data is; the address is built from them alone and never shows the password."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from engine.errors import ConfigurationError
from storage.connections import build_engine, database_url
from storage.settings import DatabaseSettings

HOME = Path("/home/one")
SERVER = DatabaseSettings(
    backend="postgresql",
    postgresql_host="db.example.org",
    postgresql_username="one",
    postgresql_password=SecretStr("p@ss:word/1"),
)


def test_by_default_the_data_is_a_file_in_the_home_folder() -> None:
    assert database_url(DatabaseSettings(), HOME).database == "/home/one/quarterdeck.db"
    assert database_url(DatabaseSettings(sqlite_file=Path("x.db")), HOME).database == "/home/one/x.db"
    assert database_url(DatabaseSettings(sqlite_file=Path("/var/x.db")), HOME).database == "/var/x.db"


def test_one_setting_chooses_the_server_and_the_password_is_never_shown() -> None:
    url = database_url(SERVER, HOME)
    assert (url.host, url.port, url.database, url.password) == ("db.example.org", 5432, "trading_bot", "p@ss:word/1")
    assert "p@ss" not in f"{url} {url!r} {SERVER} {SERVER!r} {SERVER.model_dump_json()}"


@pytest.mark.parametrize(("size", "overflow", "in_force"), [(10, 20, 10), (5, 3, 3), (20, 20, 0), (5, 20, 15)])
def test_no_more_than_twenty_connections_are_ever_opened(size: int, overflow: int, in_force: int) -> None:
    settings = DatabaseSettings(postgresql_pool_size=size, postgresql_max_overflow=overflow)
    assert settings.overflow == in_force


@pytest.mark.parametrize(
    "wrong",
    [
        {"backend": "mysql"},
        {"backend": "postgresql"},
        {"postgresql_pool_size": 4},
        {"postgresql_pool_size": 21},
        {"pool_timeout": 0},
        {"unknown": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DatabaseSettings.model_validate(wrong)


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.connections.importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"quarterdeck\[postgres\]"):
        build_engine(SERVER, HOME)

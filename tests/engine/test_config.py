"""Settings: five sources in order, every fault named with its source and key, and never a secret repeated."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from engine.config import Settings, changes, json_schema, known_keys, load_settings, shown
from engine.errors import ConfigurationError
from engine.setting_names import ENV_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SECRET = "hunter2-very-secret"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def write(home: Path, text: str, name: str = "config.toml") -> None:
    (home / name).write_text(text, encoding="utf-8")


def fault(home: Path, environ: Mapping[str, str] | None = None, explicit: Mapping[str, object] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(home, environ or {}, explicit)
    return caught.value.message


def test_a_fresh_home_needs_no_setting_at_all(home: Path) -> None:
    assert load_settings(home, {}) == Settings()


def test_each_source_outranks_the_ones_before_it(home: Path) -> None:
    assert load_settings(home, {}).paper.seed == 42
    write(home, "[paper]\nseed = 1\n")
    assert load_settings(home, {}).paper.seed == 1
    write(home, "QUARTERDECK_PAPER_SEED=2\n", ".env")
    assert load_settings(home, {}).paper.seed == 2
    assert load_settings(home, {"QUARTERDECK_PAPER_SEED": "3"}).paper.seed == 3
    assert load_settings(home, {"QUARTERDECK_PAPER_SEED": "3"}, {"paper.seed": 4}).paper.seed == 4


def test_a_stronger_source_leaves_the_other_settings_of_the_group_alone(home: Path) -> None:
    write(home, "[paper]\nseed = 1\nlatency_ms = 3.5\n")
    found = load_settings(home, {"QUARTERDECK_PAPER_SEED": "9"}).paper
    assert (found.seed, found.latency_ms) == (9, 3.5)


def test_a_setting_of_several_values_is_replaced_as_a_whole_and_read_as_json(home: Path) -> None:
    write(home, "[paper]\nbalances = { USDT = 500 }\n")
    assert load_settings(home, {}).paper.balances == {"USDT": Decimal(500)}
    env = {"QUARTERDECK_PAPER_BALANCES": '{"BTC": "0.5"}'}
    assert load_settings(home, env).paper.balances == {"BTC": Decimal("0.5")}
    assert "paper.balances" in fault(home, {"QUARTERDECK_PAPER_BALANCES": "0.5 BTC"})


@pytest.mark.parametrize("name", sorted(ENV_NAMES))
def test_every_short_name_leads_to_a_setting_that_exists(name: str) -> None:
    assert ENV_NAMES[name] in known_keys()


def test_names_in_the_environment_match_case_insensitively_with_and_without_prefix(home: Path) -> None:
    env = {"risk_max_drawdown": "0.2", "quarterdeck_Max_Strategies": "3", "DB_PASSWORD": SECRET}
    found = load_settings(home, env)
    assert found.risk.max_drawdown_pct == Decimal("0.2")
    assert found.strategies.max_concurrent_strategies == 3
    assert found.database.postgresql_password is not None
    assert found.database.postgresql_password.get_secret_value() == SECRET


def test_names_that_every_program_uses_need_the_prefix_in_the_environment(home: Path) -> None:
    assert load_settings(home, {"DEBUG": "*", "ENVIRONMENT": "moon"}) == Settings()
    assert load_settings(home, {"QUARTERDECK_DEBUG": "true"}).debug is True
    write(home, "ENVIRONMENT=production\nDEBUG=1\n", ".env")
    found = load_settings(home, {})
    assert (found.environment, found.debug) == ("production", True)


def test_other_programs_variables_and_the_home_are_none_of_our_business(home: Path) -> None:
    env = {"PATH": "/bin", "HOME": "/x", "QUARTERDECK_HOME": "/y", "QUARTERDECK_TEST_SPEED": "2"}
    assert load_settings(home, env) == Settings()


def test_an_empty_variable_sets_nothing(home: Path) -> None:
    assert load_settings(home, {"QUARTERDECK_PAPER_REPLAY_FILE": "", "DB_PORT": " "}) == Settings()


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_may_refer_to_the_environment_and_to_dotenv_with_defaults(home: Path) -> None:
    write(home, '[paper]\nseed = "${SEED:7}"\nbase_currency = "${BASE}"\n[console]\ntheme = "${T:x}-y"\n')
    write(home, "BASE = 'EUR'\n", ".env")
    found = load_settings(home, {})
    assert (found.paper.seed, found.paper.base_currency, found.console.theme) == (7, "EUR", "x-y")
    assert load_settings(home, {"SEED": "8", "BASE": "USD"}).paper.base_currency == "USD"


def test_a_reference_to_nothing_names_itself_and_the_file(home: Path) -> None:
    write(home, '[paper]\nbase_currency = "${BASE}"\n')
    message = fault(home)
    assert "${BASE}" in message
    assert "config.toml" in message


def test_yaml_is_read_where_there_is_no_toml(home: Path) -> None:
    write(home, "paper:\n  seed: 5\n  balances: {USDT: '12.5'}\n", "config.yaml")
    assert load_settings(home, {}).paper.seed == 5
    write(home, "[paper]\nseed = 6\n")
    assert load_settings(home, {}).paper.seed == 6


def test_dotenv_knows_comments_exports_and_quotes(home: Path) -> None:
    write(home, "# ours\n\nexport DB_HOST=db.local # inside\nDB_NAME=\"a # b\"\nDB_PASSWORD='x=y'\n", ".env")
    found = load_settings(home, {}).database
    assert (found.postgresql_host, found.postgresql_database) == ("db.local", "a # b")
    assert found.postgresql_password is not None
    assert found.postgresql_password.get_secret_value() == "x=y"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("config.toml", f"[paper\npassword = '{SECRET}'", "not valid TOML"),
        ("config.yaml", f"database:\n  a: [1\n  postgresql_password: '{SECRET}\n", "not valid YAML (line "),
        ("config.yaml", "- a\n- b\n", "must hold groups of settings"),
        (".env", f"A\n{SECRET}", "Line 1 of "),
        (".env", f"DB_PASSWORD {SECRET}\n", "Line 1 of "),
    ],
)
def test_a_file_that_cannot_be_read_is_named_without_what_is_in_it(home: Path, name: str, text: str, said: str) -> None:
    write(home, text, name)
    message = fault(home)
    assert said in message
    assert name in message
    assert SECRET not in message


def test_a_file_that_is_no_text_or_no_file_of_ours_is_named(home: Path) -> None:
    (home / "config.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in fault(home)
    (home / "config.toml").unlink()
    (home / ".env").write_bytes(b"\xff")
    assert ".env cannot be read" in fault(home)


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[paper]\nsed = 1\n", "paper.sed is not a setting. Did you mean paper.seed?"),
        ("[papr]\nseed = 1\n", "papr is not a setting. Did you mean paper?"),
        ("[risk]\nmax_drawdown = 0.1\n", "Did you mean risk.max_drawdown_pct?"),
        ("[paper]\nlatency_ms = -1\n", "paper.latency_ms: Input should be greater than or equal to 0"),
        ("[paper]\nlatency_ms = nan\n", "paper.latency_ms"),
        ("[paper]\nbalances = { USDT = -5 }\n", "paper.balances.USDT: Input should be greater than or equal to 0"),
        ("[paper]\nbalances = { USDT = 'Infinity' }\n", "paper.balances.USDT"),
        ("paper = 3\n", "paper: "),
        ("environment = 'moon'\n", "'development', 'staging' or 'production'"),
        ("[console]\ntime_zone = 'Mars/Base'\n", "console.time_zone: this is no time zone"),
        ("[risk]\nposition_size_pct = 0.5\n", "risk: position_size_pct (0.5) must not be above"),
        ("[logging]\nfiles = 1\n", "logging.files"),
    ],
)
def test_a_fault_names_file_key_and_what_would_be_right(home: Path, text: str, said: str) -> None:
    write(home, text)
    message = fault(home)
    assert said in message
    assert str(home / "config.toml") in message


def test_a_fault_names_the_source_that_said_it(home: Path) -> None:
    write(home, "[paper]\nseed = 1\n")
    assert "the environment: paper.seed" in fault(home, {"QUARTERDECK_PAPER_SEED": "many"})
    assert "the command line: paper.seed" in fault(home, {}, {"paper.seed": "many"})
    assert "the command line: paper.sed is not a setting" in fault(home, {}, {"paper.sed": 1})
    write(home, "QUARTERDECK_PAPER_SEED=many\n", ".env")
    assert f"{home / '.env'}: paper.seed" in fault(home)


def test_unknown_names_of_ours_in_the_environment_are_refused_with_the_nearest(home: Path) -> None:
    message = fault(home, {"QUARTERDECK_PAPER_SEDE": "1", "QUARTERDECK_HOMES": "x"})
    assert "QUARTERDECK_PAPER_SEDE names no setting. Did you mean QUARTERDECK_PAPER_SEED?" in message
    assert "QUARTERDECK_HOMES names no setting" in message


def test_in_our_own_dotenv_every_name_is_a_setting_or_is_referred_to(home: Path) -> None:
    write(home, "DB_PASWORD=x\nMY_SEED=5\n", ".env")
    write(home, '[paper]\nseed = "${MY_SEED}"\n')
    message = fault(home)
    assert f"{home / '.env'}: DB_PASWORD names no setting. Did you mean DB_PASSWORD?" in message
    assert "MY_SEED" not in message


def test_all_faults_are_told_at_once(home: Path) -> None:
    write(home, "[paper]\nsed = 1\nlatency_ms = -1\n[database]\npostgresql_port = 0\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(home, {"QUARTERDECK_X": "1"})
    assert len(caught.value.details["faults"]) == 4  # type: ignore[arg-type]


def test_no_message_ever_repeats_a_secret(home: Path) -> None:
    write(home, f"[database]\npostgresql_password = ['{SECRET}']\npostgresql_port = '{SECRET}'\nbackend = '{SECRET}'\n")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(home, {"QUARTERDECK_DB_POOL_SIZE": SECRET, "QUARTERDECK_PAPER_BALANCES": SECRET})
    error = caught.value
    assert SECRET not in error.message
    assert SECRET not in repr(error.details)
    good = load_settings(home / "none", {"DB_PASSWORD": SECRET})
    assert SECRET not in repr(good)
    assert SECRET not in good.model_dump_json()


def test_what_changed_between_two_starts_is_told_without_secrets(home: Path) -> None:
    before = shown(load_settings(home, {"DB_PASSWORD": SECRET, "QUARTERDECK_PAPER_SEED": "1"}))
    now = shown(load_settings(home, {"DB_PASSWORD": SECRET + "2", "QUARTERDECK_DEBUG": "true"}))
    assert {*before} == {*known_keys()}
    assert changes(before, now) == ["debug: false -> true", "paper.seed: 1 -> 42"]
    assert SECRET not in "".join(before.values())
    assert changes({}, now) == []


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError):
        Settings().paper.seed = 3  # type: ignore[misc] # the type checker refuses it as well


def test_the_json_schema_describes_every_setting_with_words() -> None:
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    groups = {name: schema["$defs"][part["$ref"].rpartition("/")[2]] for name, part in _groups(schema).items()}
    for group, part in groups.items():
        assert part["additionalProperties"] is False
        for name, field in part["properties"].items():
            assert f"{group}.{name}" in known_keys()
            assert field.get("description"), f"{group}.{name} says nothing about itself"


def _groups(schema: dict[str, dict[str, dict[str, str]]]) -> dict[str, dict[str, str]]:
    return {name: part for name, part in schema["properties"].items() if "$ref" in part}

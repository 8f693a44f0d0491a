"""The page on failures says what the settings say, and its example is a rule."""

from __future__ import annotations

import re
import tomllib

from engine.resilience.rules import RuleSettings
from engine.resilience.settings import ErrorHandlingSettings
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())


def test_the_example_of_a_rule_is_one() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (rule,) = tomllib.loads(block)["rules"]
    assert RuleSettings.model_validate(rule).action == "halt"


def test_the_figures_are_those_of_the_settings() -> None:
    one = ErrorHandlingSettings()
    for said in (
        f"({one.api_calls.failure_threshold} failures in a row, {one.api_calls.recovery_timeout:g} s, "
        f"{one.api_calls.success_threshold} successes)",
        f"({one.database_connections.failure_threshold}, {one.database_connections.recovery_timeout:g} s, "
        f"{one.database_connections.success_threshold})",
        f"balances) | {one.network_errors.max_attempts} |",
        f"report database | {one.database_errors.max_attempts} |",
        f"too many requests | {one.api_rate_limits.max_attempts} |",
        f"After {one.network_disconnection.max_offline_duration:g} s: safe mode",
        f"silent for {one.data_feed_interruption.max_staleness:g} s",
        f"from {one.partial_order_fill.min_fill_percentage:.0%} on".replace("50%", "50 %"),
        f"kept for {one.analytics.error_logs_days} days, patterns for {one.analytics.pattern_data_days}, reports",
        f"for {one.analytics.analytics_reports_days}.",
    ):
        assert said in WORDS, said

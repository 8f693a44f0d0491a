"""The fault test in its short form: a fixed list of seeds, and each planted defect is found out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.__main__ import main
from tests.chaos.defects import DEFECTS
from tests.chaos.plan import ANY, Plan, points_of
from tests.chaos.session import run

if TYPE_CHECKING:
    from pathlib import Path

SHORT = (
    Plan(7001, points=("intent.applied", "journal.commit", "order.leaving", "fill.received", "recover.caught_up")),
    Plan(7002, points=("intent.queued", "journal.committed", "order.sent", "fill.applied", "call.done")),
    Plan(7003, points=("report.received", "cancel.leaving", "mark.write", "venue.commit", "snapshot.due")),
    Plan(7004, ANY, lives=4, socket=True),
    Plan(7005, ANY, process=True, lives=3),
)
FOUND_BY = {
    "resend on timeout": (Plan(7101, lives=2), Plan(7102, lives=2)),
    "fill booked twice": (Plan(7111, lives=1), Plan(7112, lives=2)),
    "cancel assumed done": tuple(Plan(seed, lives=3, trouble=0.7) for seed in range(7121, 7125)),
    "start without reconciling": (Plan(7131, lives=1), Plan(7132, lives=2)),
    "reply before durable": tuple(Plan(seed, "journal.commit", lives=2) for seed in range(7141, 7147)),
}
"""Sessions that are run one after the other until the defect has shown itself."""


@pytest.mark.parametrize("plan", SHORT, ids=lambda plan: str(plan.seed))
def test_nothing_is_lost_doubled_or_misstated_however_engines_end(plan: Plan, tmp_path: Path) -> None:
    outcome = run(plan, keep=tmp_path)
    assert outcome.verdict.problems == [], plan.again
    assert outcome.hits.total() + outcome.missed.total() == plan.lives
    assert outcome.verdict.orders > 0


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found_out(defect: str) -> None:
    from dataclasses import replace

    assert any(run(replace(plan, defect=defect)).verdict.problems for plan in FOUND_BY[defect])


def test_every_kind_of_step_has_points_on_both_sides() -> None:
    groups = {point.partition(".")[0] for point in points_of()}
    assert {"intent", "journal", "order", "report", "fill", "snapshot", "call", "recover", "venue"} <= groups


def test_a_session_can_be_run_again_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "7004", "--point", "order.sent", "--lives", "1"]) == 0
    assert capsys.readouterr().out.endswith("ok\n")

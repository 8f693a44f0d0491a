"""Writes docs/crash-days.md: `python -m tests.crash_days [FOLDER OF RECORDED DATA]`."""

from __future__ import annotations

import sys
from pathlib import Path

import structlog

from tests.conftest import ROOT
from tests.crash_days.days import BITFINEX, OKX_FLAT, OKX_SILENT
from tests.crash_days.report import day_part, page

PAGE = ROOT / "docs" / "crash-days.md"


def main() -> None:
    """Replay all days and write them up."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data"
    if not data.is_dir():
        raise SystemExit(f"The recorded market data is not at {data}; name its folder.")
    PAGE.write_text(page([day_part(day, data) for day in (BITFINEX, OKX_FLAT, OKX_SILENT)]), encoding="utf-8")


main()

"""What keys do on the screen of backtests."""

from __future__ import annotations

from console.actions import Action, Tier

__all__ = ["BACKTESTS", "STUDIES"]

A = Action

BACKTESTS = (
    A("backtests.new", "n", "new", "New", "Run a backtest: strategy, data, period, capital and parameters.", footer=1),
    A("backtests.open", "enter", "open", "Open", "Show the chosen run as a whole.", footer=2),
    A("backtests.page", "v", "page", "Page", "Show figures, trades, assumptions, months or odds.", footer=3),
    A("backtests.mark", "m", "mark", "Compare", "Mark a run; a second one is then compared with it.", footer=4),
    A("backtests.data", "a", "data", "Data", "Show the stored candles, or the runs again.", footer=5),
    A("backtests.cancel", "c", "cancel", "Cancel job", "End the running job.", Tier.CONFIRM, footer=6, danger=True),
    A("backtests.delete", "D", "delete", "Delete", "Delete the chosen run.", Tier.CONFIRM, footer=7, danger=True),
    A("backtests.report", "r", "report", "Sheet", "Put the chosen run on one sheet: its months and parts."),
    A("backtests.odds", "p", "odds", "Monte Carlo", "Draw random paths of the chosen run: what might have been."),
    A("backtests.pick", "space", "pick", "Pick", "Pick a run for a comparison of several, or take it back."),
    A("backtests.weigh", "W", "weigh", "Weigh", "Compare the picked runs, weigh them, and say which to choose."),
    A("backtests.search", "s", "search", "Search", "Search parameters: a sweep, Optuna, or a walk-forward analysis."),
    A("backtests.studies", "w", "studies", "Studies", "Show stored studies: best sets, heat map, windows, warnings."),
    A("backtests.import", "i", "import", "Import", "Import candles of a Parquet or CSV file."),
    A("backtests.back", "escape", "back", "Back", "Return to the list of runs."),
)

STUDIES = (A("studies.delete", "D", "delete", "Delete", "Delete the chosen study.", Tier.CONFIRM, danger=True),)

"""The table of actions: every key of the console, what it does, and how much is asked before.

Letters that end or destroy something (c, C, d, x, X, D, H) do nothing harmless anywhere.
"""

from __future__ import annotations

from console.action_table_backtests import BACKTESTS, STUDIES
from console.action_table_bots import BOTS
from console.action_table_dashboard import DASHBOARD
from console.action_table_form import FORM
from console.action_table_portfolio import CAPITAL, PORTFOLIO
from console.action_table_quality import QUALITY
from console.action_table_replay import REPLAY
from console.action_table_risk import RISK, STOP
from console.action_table_settings import SETTINGS
from console.actions import Action, Tier

__all__ = ["TABLE"]

A = Action
FREE, CONFIRM, TYPE = Tier.FREE, Tier.CONFIRM, Tier.TYPE

APP = (
    A("app.dashboard", "1", "app.show('dashboard')", "Dashboard", "Show the dashboard."),
    A("app.bots", "2", "app.show('bots')", "Bots", "Show the bots."),
    A("app.portfolio", "3", "app.show('portfolio')", "Portfolio", "Show positions, balances and performance."),
    A("app.market", "4", "app.show('market')", "Market", "Show book, trades, chart and orders of an instrument."),
    A("app.risk", "5", "app.show('risk')", "Risk", "Show limits, breakers and the trading state."),
    A("app.backtests", "6", "app.show('backtests')", "Backtests", "Show stored backtests and run new ones."),
    A("app.settings", "7", "app.show('settings')", "Settings", "Show keys, real money and channels of alerts."),
    A("app.quality", "8", "app.show('quality')", "Quality", "Show what executions cost, and how fast they were."),
    A("app.help", "question_mark", "app.help", "Help", "Show the keys that work here.", footer=90),
    A("app.help_anywhere", "f1", "app.help", "Help", "Show the keys, also from within a dialog.", priority=True),
    A("app.palette", "ctrl+p", "app.palette('')", "Palette", "Find any action, instrument or bot by name.", footer=91),
    A("app.command", "colon", "app.palette(':')", "Command", "Type a command, such as :bots, :eth or :quit."),
    A(
        "app.emergency", "ctrl+x", "app.emergency", "STOP",
        "Emergency stop: block new orders, cancel, close; of everything or a part.",
        CONFIRM, footer=99, danger=True, priority=True,
    ),
    A("app.quit", "q,ctrl+c", "app.quit", "Leave", "Leave the console; the engine may go on.", CONFIRM, footer=92),
    A("app.quit_anywhere", "ctrl+q", "app.quit", "Leave", "Leave from within a dialog.", CONFIRM, priority=True),
    A(
        "app.detach", "ctrl+g,ctrl+backslash", "app.detach", "Detach",
        "Leave at once and get the shell back; the engine goes on.", priority=True,
    ),
    A("app.undo", "u", "app.undo", "Undo", "Cancel the order just sent while it is open, for ten seconds."),
    A("app.privacy", "ctrl+o", "app.privacy", "Privacy", "Hide or show amounts of money and quantities held."),
    A("app.theme", "", "app.theme", "Theme", "Choose the colour theme with a live preview."),
    A("app.picture", "", "app.picture", "Screenshot", "Save the screen as an SVG picture."),
    A("app.activity", "ctrl+l", "app.activity", "Activity", "Show everything that has happened lately."),
    A("app.health", "", "app.health", "Health", "Show how the engine's parts and markets are."),
    A("app.errors", "", "app.errors", "Errors", "Show what went wrong, what repeats, and what was done about it."),
    A("app.state", "", "app.state", "State checks", "Show what the last start and the checks of the state found."),
    A("app.order_history", "", "app.order_history", "Order history", "Show the newest 200 ended orders of all time."),
    A("app.fill_history", "", "app.fill_history", "Execution history", "Show the newest 200 executions of all time."),
    A(
        "app.replay", "", "app.replay", "Replay",
        "Look at any moment of the past on these screens, step by step or as it happened.",
    ),
    A("app.halt", "", "app.halt", "Halt", "Stop new orders; cancels and reductions pass.", CONFIRM, danger=True),
    A("app.resume", "", "app.resume", "Resume", "Allow new orders again after a halt.", CONFIRM),
    A("app.arm", "", "app.arm", "Arm for real money", "Let this console send orders with real money.", TYPE),
    A("app.disarm", "", "app.disarm", "Disarm", "Take this console's permission to send them back."),
    A("app.redraw", "ctrl+r", "app.redraw", "Redraw", "Draw the whole screen again."),
    A("app.zoom", "z", "app.zoom", "Zoom", "Give the focused pane the whole screen, or take it back."),
)  # fmt: skip

FOCUS = (
    A("focus.next", "tab", "app.focus_next", "Next pane", "Go to the next pane or field."),
    A("focus.previous", "shift+tab", "app.focus_previous", "Previous pane", "Go to the pane or field before."),
)

MARKET = (
    A("market.buy", "b", "ticket('buy')", "Buy", "Open a ticket to buy.", CONFIRM, footer=1),
    A("market.sell", "s", "ticket('sell')", "Sell", "Open a ticket to sell.", CONFIRM, footer=2),
    A("market.cancel", "c", "cancel", "Cancel", "Cancel the chosen order.", CONFIRM, footer=3, danger=True),
    A("market.replace", "r", "replace", "Replace", "Change quantity or price of the chosen order.", CONFIRM, footer=4),
    A(
        "market.cancel_all", "C", "cancel_all", "Cancel all",
        "Cancel all of your own orders of this instrument.", CONFIRM, danger=True,
    ),
    A("market.margin", "L", "margin", "Leverage", "Set leverage and margin mode of the perpetual.", CONFIRM),
    A("market.timeframe", "t", "timeframe(1)", "Timeframe", "Show the next longer timeframe.", footer=7),
    A("market.timeframe_back", "T", "timeframe(-1)", "Shorter", "Show the next shorter timeframe."),
    A("market.previous", "left_square_bracket", "instrument(-1)", "Previous", "Go to the instrument before."),
    A("market.next", "right_square_bracket", "instrument(1)", "Next", "Go to the next instrument.", footer=5),
    A("market.pick", "i,slash", "pick", "Find", "Choose an instrument by name."),
    A("market.watch", "plus", "watch", "Add market", "Find any instrument of the venues and keep its market."),
    A("market.unwatch", "minus", "unwatch", "Remove market", "Keep the market of this instrument no more.", CONFIRM),
    A("market.pane", "v", "pane", "Tape", "Change between chart and tape where both do not fit.", footer=6),
    A("market.orders", "a", "scope", "All orders", "Show the orders of this instrument, or of all."),
)  # fmt: skip

DIALOG = (
    A("dialog.close", "escape", "dismiss_dialog", "Back", "Leave without doing anything."),
    A("dialog.accept", "enter", "accept", "Do it", "Do what the dialog says, once it has been drawn."),
    A("dialog.yes", "y", "yes", "Yes", "Do what the dialog says, once it has been drawn."),
    A("dialog.copy", "ctrl+y", "copy", "Copy", "Copy the dialog's text to the terminal's clipboard."),
)

TICKET = (
    A("ticket.review", "enter", "review", "Review", "Show exactly what would be sent."),
    A("ticket.up", "up", "move(-1)", "Up", "Go to the field above."),
    A("ticket.down", "down", "move(1)", "Down", "Go to the field below."),
    A("ticket.tick_up", "ctrl+up,pageup", "nudge(1)", "Tick up", "Raise the price or quantity by one step."),
    A("ticket.tick_down", "ctrl+down,pagedown", "nudge(-1)", "Tick down", "Lower the price or quantity by one step."),
    A("ticket.suggest", "ctrl+t", "suggest", "Suggested", "Take the size that the configured method suggests."),
    A("ticket.side", "ctrl+b", "flip", "Buy/sell", "Change between buying and selling."),
)

CHOICE = (
    A("choice.next", "right,l,space", "turn(1)", "Next", "Choose the next value."),
    A("choice.previous", "left,h", "turn(-1)", "Previous", "Choose the value before."),
)

PALETTE = (
    A("palette.up", "up", "move(-1)", "Up", "Go to the entry above."),
    A("palette.down", "down", "move(1)", "Down", "Go to the entry below."),
    A("palette.page_up", "pageup", "move(-8)", "Page up", "Go up eight entries."),
    A("palette.page_down", "pagedown", "move(8)", "Page down", "Go down eight entries."),
)

MOVE = (
    A("move.down", "j,down", "move(1)", "Down", "Go down."),
    A("move.up", "k,up", "move(-1)", "Up", "Go up."),
    A("move.first", "g,home", "end(-1)", "First", "Go to the first entry."),
    A("move.last", "G,end", "end(1)", "Last", "Go to the last entry."),
    A("move.page_down", "ctrl+d,pagedown", "half_page(1)", "Half page down", "Go down half a page."),
    A("move.page_up", "ctrl+u,pageup", "half_page(-1)", "Half page up", "Go up half a page."),
    A("move.left", "h,left", "sideways(-1)", "Left", "Go left."),
    A("move.right", "l,right", "sideways(1)", "Right", "Go right."),
)

TABLE_WIDGET = (
    A("table.open", "enter", "choose", "Open", "Open the chosen row."),
    A("table.sort", "o", "sort_next", "Sort", "Sort by the next column."),
    A("table.sort_reverse", "O", "sort_reverse", "Reverse", "Turn the order round."),
    A("table.filter", "slash", "filter('')", "Filter", "Show only rows that match."),
    A("table.filter_out", "exclamation_mark", "filter('!')", "Filter out", "Show only rows that do not match."),
    A("table.next_match", "n", "find(1)", "Next match", "Go to the next match of the last filter."),
    A("table.previous_match", "N", "find(-1)", "Previous match", "Go to the match before."),
    A("table.clear_filter", "escape", "clear_filter", "Clear filter", "Show all rows again."),
    A("table.copy_row", "y", "copy_row", "Copy row", "Copy the chosen row to the terminal's clipboard."),
    A("table.copy_table", "Y", "copy_table", "Copy table", "Copy all shown rows as CSV."),
)

LADDER = (
    A("ladder.take", "enter", "choose", "Take price", "Take the chosen price into a ticket."),
    A("ladder.centre", "m", "centre", "Middle", "Return to the spread."),
)

CHART = (
    A("chart.wider", "plus,equals_sign", "widen(1)", "Wider", "Give each candle more room."),
    A("chart.narrower", "minus", "widen(-1)", "Narrower", "Show more candles."),
    A("chart.hide_crosshair", "escape", "hide_crosshair", "Hide crosshair", "Hide the crosshair."),
)

LOG = (A("log.copy", "y", "copy", "Copy lines", "Copy the shown lines to the terminal's clipboard."),)

TABLE: tuple[Action, ...] = (
    *APP, *REPLAY, *FOCUS, *DASHBOARD, *BOTS, *PORTFOLIO, *CAPITAL, *MARKET, *RISK, *BACKTESTS, *STUDIES, *SETTINGS,
    *QUALITY, *DIALOG, *TICKET, *STOP, *FORM, *CHOICE, *PALETTE, *MOVE, *TABLE_WIDGET, *LADDER, *CHART, *LOG,
)  # fmt: skip

"""Where the kernel keeps what: slots of its arrays, and the numbers that stand for words.

`k` holds whole numbers (int64), `s` floats, `p` and `q` what is given (floats and whole numbers). A row of `fills` is
one execution. Prices are whole ticks, quantities whole lots.
"""

from __future__ import annotations

# --- k: whole numbers that change -------------------------------------------------------------------------------------
POS = 0  # signed lots held
ENTRY_LEFT = 1  # lots that the entry order still wants; 0 without one
ENTRY_SIDE = 2
ENTRY_ROW = 3
ENTRY_LEVEL = 4  # 1 opens a position
ENTRY_FIRST = 5  # 1 when it arrived before stop and target
STOP_ON, STOP_PRICE, STOP_HIT, STOP_MARKET = 6, 7, 8, 9
TARGET_ON, TARGET_PRICE, TARGET_HIT, TARGET_MARKET = 10, 11, 12, 13
CLOSE_ON, CLOSE_KIND, CLOSE_ROW, CLOSE_CODE = 14, 15, 16, 17
CLOSING = 18  # 1 while the bot closes
WANT_STOP, WANT_TARGET = 19, 20  # ticks, 0 for none
SEEN_ENTRY, SEEN_STOP, SEEN_TARGET, SEEN_CLOSE = 21, 22, 23, 24  # had its turn at this bar's open
HELD_SIDE = 25  # what the strategy is told
LOT_HEAD, LOT_TAIL = 26, 27
COST = 28  # ticks x lots of what is held, unsigned
NET = 29  # ticks x lots received less paid
FILLS, ORDERS = 30, 31
MEMORY_SIDE, MEMORY_BARS, MEMORY_LEVELS, MEMORY_ASKED, TRAILED = 32, 33, 34, 35, 36
STATUS, STATUS_ROW = 37, 38
DAY, WEEK, MONTH = 39, 40, 41  # numbers of the running periods, -1 before the first look
DAILY, DAILY_SINCE, DAILY_UNTIL = 42, 43, 44  # 0 closed, 1 open, 2 on trial
WEEKLY, MONTHLY, DRAWDOWN, HARD = 45, 46, 47, 48
HALT = 49  # 0 active, 1 reducing, 2 halted
STOPPED = 50  # 1 once the emergency stop has taken over
REC_DAY, LOOKED = 51, 52
HALTS = 53
NOT_SIZED, REFUSED_HALTED, REFUSED_REDUCING, REFUSED_MONEY, REFUSED_SHORT = 54, 55, 56, 57, 58
TRADES, WINS, LOSSES = 59, 60, 61
BUSY = 62
INDEX = 63
HELD_BARS = 64
MEMORY_NEW = 65  # 1 when what is held has changed since the strategy looked
CARE = 66  # 1 while entries pass at half their size
SOONEST = 69  # time before which no period, hour or pause ends
WEEK_OPENED = 70  # the week in which its breaker opened
DAY_FIRST = 71
K_SIZE = 72

# --- s: floats that change --------------------------------------------------------------------------------------------
FEES, FEES_LOW = 0, 1
HELD_QUANTITY, HELD_ENTRY = 2, 3
MARK = 4
BUDGET = 5
AT = 6  # where the price stands on the bar's path
BELOW, ABOVE = 7, 8
MEMORY_QUANTITY, MEMORY_ENTRY, MEMORY_CONFIDENCE, LEVEL, BEST, STOP, FIXED, TARGET = 9, 10, 11, 12, 13, 14, 15, 16
EQUITY = 17  # at the last look
DAY_START, WEEK_START, MONTH_START = 18, 19, 20
REC_EQUITY, REC_PEAK = 21, 22
SHORT_HELD = 23  # quote currency that the venue holds for a short
TRADE_NET, TRADE_FEES = 24, 25
GAINS, LOST = 26, 27
TOP, FALL = 28, 29  # highest value of the account at a close, and the deepest fall below one
EQUITY_LOW, EQUITY_HIGH = 33, 34  # between these nothing can trip or be noted
LOW = 35  # lowest value of the account since the highest
S_SIZE = 36

# --- p: floats that are given -----------------------------------------------------------------------------------------
CAPITAL, UNIT, LOT, PRICE_UNIT, QUANTITY_UNIT, TAKER, WORST_FEE, MIN_NOTIONAL = 0, 1, 2, 3, 4, 5, 6, 7
HALF_SPREAD, SLIP_FIXED, SLIP_IMPACT, SHARE = 8, 9, 10, 11  # SHARE below 0: no cap on participation
SIZE_PCT, POSITION_PCT, EXPOSURE_PCT = 12, 13, 14
LOSS_DAY, LOSS_WEEK, LOSS_MONTH, LOSS_PEAK, LOSS_HARD = 15, 16, 17, 18, 19
MIN_CONFIDENCE, DEFAULT_STOP, STOP_PCT, TARGET_PCT, TRAIL_PCT, TRAIL_FROM = 20, 21, 22, 23, 24, 25
PRICE_DEN = 26
P_SIZE = 27

# --- q: whole numbers that are given ----------------------------------------------------------------------------------
LENGTH, FIRST, TICK_INT, LOT_INT, PATH, STOP_GAP, TARGET_GAP, SLIP_MODEL = 0, 1, 2, 3, 4, 5, 6, 7
SHORTS, BY_CONFIDENCE, MAX_LEVELS, MAX_BARS, RECORD, HAS_STOP_PCT, HAS_TARGET_PCT = 8, 9, 10, 11, 12, 13, 14
TRIAL_NS, TICK_NUM, PAUSE_NS = 15, 16, 17  # TICK_NUM / PRICE_DEN is the tick in lowest terms
FILLS_ROOM = 18
Q_SIZE = 19

ADAPTIVE, FIXED_OHLC, PESSIMISTIC = 0, 1, 2
GAP_OPEN, GAP_IN_RANGE, GAP_TRIGGER = 0, 1, 2
SLIP_NONE, SLIP_IS_FIXED, SLIP_LINEAR, SLIP_ROOT = 0, 1, 2, 3

# --- columns of `fills` -----------------------------------------------------------------------------------------------
F_BAR, F_TS, F_SIDE, F_TICKS, F_LOTS, F_KIND, F_ROW, F_CODE, F_WANTED = 0, 1, 2, 3, 4, 5, 6, 7, 8
F_SIZE = 9
BY_ENTRY, BY_STOP, BY_TARGET, BY_CLOSE, BY_EMERGENCY, BY_END = 0, 1, 2, 3, 4, 5

WHY_STOP, WHY_TRAIL, WHY_TARGET, WHY_STEP, WHY_SIGNAL, WHY_TIME = 1, 2, 3, 4, 5, 6
"""Why a strategy closes."""

OK, FULL, BAD_STOP, BAD_TARGET, BAD_CONFIDENCE, BAD_SIZE, MANY_LOTS, NO_FUNDS = 0, 1, 2, 3, 4, 5, 6, 7
"""How a run ended: as it should, or what stood in the way at the row in STATUS_ROW."""

HALTS_KEPT = 64
LOTS_KEPT = 4096
H_SIZE = 4
H_TS, H_BREAKER, H_EQUITY, H_REFERENCE = 0, 1, 2, 3
"""A row of `halts`: when which breaker opened, and the two values that were compared."""

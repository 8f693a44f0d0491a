"""What may be asked of recordings, and of history at exchanges."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import Request
from engine.control.requests_research import CandleSetName, Ranged

__all__ = ["DownloadCandles", "RecordedCandles", "RecordingId"]


class RecordingId(Request):
    """One recorded session."""

    id: str = Field(description="Its id.")


class RecordedCandles(RecordingId):
    """Candles of a recorded session, to be stored for backtests."""

    instrument: str = Field(description="Recorded market, such as BINANCE:BTC/USDT.")
    timeframe: str = Field("1m", description="Length of a bar, such as 1m or 1h.")
    replace: bool = Field(default=False, description="Let new values take the place of different stored ones.")


class DownloadCandles(Ranged, CandleSetName):
    """Candles of an exchange, to be stored; what is stored already is not asked for again."""

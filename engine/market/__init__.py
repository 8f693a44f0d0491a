"""Market data: feeds, books, candles, recording and data quality."""

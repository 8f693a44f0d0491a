"""What is kept on disk: journal, tables and migrations, candles, repositories."""

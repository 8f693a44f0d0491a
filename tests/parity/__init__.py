"""Whole files of recorded candles on both roads of a backtest: `python -m tests.parity [--bars N] [NAME ...]`."""

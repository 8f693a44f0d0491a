"""Crash days replayed with five bots; `python -m tests.crash_days` writes docs/crash-days.md anew."""

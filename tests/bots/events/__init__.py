"""Bots whose strategies decide on events."""

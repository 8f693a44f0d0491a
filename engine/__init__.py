"""The engine: it trades, and does not know who is watching."""

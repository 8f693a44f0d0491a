"""Journals as releases wrote them, kept forever: later releases must read them and come to the same state."""

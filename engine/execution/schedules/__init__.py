"""Schedules of orders that are traded over time: what is due by when, what it costs and how uncertain that is."""

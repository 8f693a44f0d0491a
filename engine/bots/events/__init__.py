"""Bots of strategies that decide on events: what they want is compared with what works, and the difference is sent."""

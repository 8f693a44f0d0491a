"""Moving in from another program: its candles, pairs, stakes, fees, stops and rules, and what could not be taken."""

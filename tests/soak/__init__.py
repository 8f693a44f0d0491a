"""A long life in a short time: hours of simulated market, bots, and consoles that come and go."""

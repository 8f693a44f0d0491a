"""Rate limits of exchanges: one coordinator per process decides when each request may leave."""

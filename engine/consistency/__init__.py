"""Whether memory, database and venue tell the same: verified at every start, and checked while the engine runs."""

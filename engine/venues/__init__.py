"""The venue contract, and every venue that fulfils it."""

"""OKX: tables, parsers, streams and the adapter, against recordings and the simulated exchange."""

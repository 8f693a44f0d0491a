"""Any exchange through ccxt's unified methods."""

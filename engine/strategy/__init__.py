"""The contract a strategy fulfils, its parameters and its indicators."""

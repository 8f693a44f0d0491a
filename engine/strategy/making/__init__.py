"""Arithmetic of quoting: inventory, spread, the classical models, and what is measured for them."""

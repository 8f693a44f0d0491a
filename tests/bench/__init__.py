"""Benchmarks: what is measured, printed as a table by `make bench`."""

"""How the parts of the compiled pass are compiled: called by one another alone, and kept on disk as one piece."""

from __future__ import annotations

from numba import njit

__all__ = ["part"]

part = njit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Decorates a function that only compiled code calls. A division by zero gives infinity or NaN, as in numpy."""

"""Tests of the tax report."""

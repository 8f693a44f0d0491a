"""Tests of the markets a paper venue trades in."""

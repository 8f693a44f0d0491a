"""Tests of the paper venue."""

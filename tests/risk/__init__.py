"""Tests of the risk department."""

"""Tests of execution quality."""

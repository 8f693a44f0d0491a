"""Tests of parent orders and their algorithms."""

"""Tests of strategies in processes of their own."""

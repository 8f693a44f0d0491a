"""Tests of moving in from other programs."""

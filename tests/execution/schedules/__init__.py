"""Tests of the execution department."""

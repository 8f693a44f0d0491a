"""Strategies whose rules are fixed and whose parameters a person sets."""

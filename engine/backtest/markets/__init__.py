"""Simulated runs over several instruments and venues, merged on one time axis."""

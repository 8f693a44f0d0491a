"""The rate coordinator of exchanges."""

"""Exchanges on loopback: the project's matching engine behind the real protocols of real venues."""

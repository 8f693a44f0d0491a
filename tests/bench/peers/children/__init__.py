"""The programs that run in the peers' own interpreters, and what they share."""

"""Word to people who are away: what is told, and how it leaves."""

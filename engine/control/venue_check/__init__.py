"""The check of a venue: whether it does what the engine relies on, asked of the venue itself."""

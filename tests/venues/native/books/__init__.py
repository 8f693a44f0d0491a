"""Books from the bytes of streams."""

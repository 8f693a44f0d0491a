"""Built-in strategies, one readable file each, by family."""

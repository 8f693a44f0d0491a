"""A strategy in a process of its own: bars in, signals out, with memory and processor time that end somewhere."""

"""The time machine: any moment of a journal on the same screens, and from there on step by step."""

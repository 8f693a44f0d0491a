"""The arithmetic of quoting against hand-computed values."""

"""Side-by-side runs with other backtesters: their environments, one small program each, agreement first, then speed."""

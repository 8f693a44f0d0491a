"""How parts react to failure."""

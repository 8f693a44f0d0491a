"""OKX on loopback: spot and linear swaps in one unified account."""

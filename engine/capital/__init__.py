"""What each bot may spend, and how large an order may be."""

"""What screens are made of: live tables, ladders, charts and curves."""

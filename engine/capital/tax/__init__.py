"""What a year's trading comes to for a tax return: lots, disposals and income, derived from the facts alone."""

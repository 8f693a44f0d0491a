"""How an order intent becomes venue orders; the only holder of a venue's trading half."""

"""What the adapters of real exchanges share."""

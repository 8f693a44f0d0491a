"""What the adapters of real exchanges share: options, requests, connections, books."""

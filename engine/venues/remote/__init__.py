"""A venue in another process: the venue contract over a unix socket, so that working orders outlive the engine."""

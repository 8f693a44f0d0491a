"""Operations, topics and the host: the only doors into a running engine."""

"""Real money is deliberate: who has agreed to it, and which console may send it for how long."""

"""The fault test: engines that trade, are killed and hung up at named points or at random, and must lose nothing."""

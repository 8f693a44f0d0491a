"""The gate every order passes, the limits, the breakers and the emergency stop."""

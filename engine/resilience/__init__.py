"""How every part reacts to failure: severities, retries, breakers, the error handler, its patterns, and rules."""

"""Views made from the running engine; pure readers, one module a noun."""

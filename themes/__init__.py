"""The colours: one TOML file a theme, and the code that reads them."""

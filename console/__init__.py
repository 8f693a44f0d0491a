"""The command line, the Textual app's wiring, its actions and its link to the engine."""

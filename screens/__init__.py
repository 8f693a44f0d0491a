"""One module a screen, and the modal dialogs."""

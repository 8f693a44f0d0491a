"""The operations by noun; importing `engine.control.ops.all` enters every one into the table."""

"""The schema's history: numbered steps, each with its way back."""

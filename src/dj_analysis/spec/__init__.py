"""What the analyst declares: frozen, versioned, read from text or Excel."""

"""From statements to work."""

"""Several judges on the same things: agreement, severity, self-assessment."""

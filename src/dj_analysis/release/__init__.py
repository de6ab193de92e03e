"""Whether a number may be seen: the release room."""

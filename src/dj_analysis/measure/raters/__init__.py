"""Ratings by several judges: agreement, severity, self-assessment."""

"""Executed notebook in, file out."""

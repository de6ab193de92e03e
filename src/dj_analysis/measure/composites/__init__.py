"""Indices on a tree: rescaling, weights, aggregation, and how much the choices matter."""

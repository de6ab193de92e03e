"""Specifications declared by the analyst: frozen, versioned, read from text or Excel."""

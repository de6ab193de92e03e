"""Psychometric quality of answers: careless responding, reliability, agreement, factors, invariance."""

"""Measurement: from data files to estimates with n and standard error, or the reason why one is missing."""

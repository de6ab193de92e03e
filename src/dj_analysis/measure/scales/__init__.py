"""What the answers are worth: careless sheets, reliability, agreement, factors, comparability."""

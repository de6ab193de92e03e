"""How far a number may lie from the truth: intervals, shrinkage, rank sets, weighting to the headcount."""

"""Statistical inference: intervals, shrinkage, rank sets, weighting to the headcount."""

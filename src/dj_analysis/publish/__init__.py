"""The only place that draws or writes reports."""

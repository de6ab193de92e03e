"""Import of files and dataframes as checked answers; identifiers and personal records are rejected."""

"""From files and dataframes to checked answers: what may not come in is stopped here."""

"""Who is behind a number of an answer (section 1.0)."""

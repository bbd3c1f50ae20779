"""How many get from step to step, and how long it takes (section 1.2)."""

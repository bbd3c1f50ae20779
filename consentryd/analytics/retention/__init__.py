"""Who comes back, and when (section 1.3)."""

"""What people pay, what they are worth, and what recurs of it (section 1.12)."""

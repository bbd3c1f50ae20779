"""Variants against control: who was exposed to what, and what that proves (section 1.10)."""

"""Who uses a feature, how soon, how much and for how long (section 1.9)."""

"""Segmentation: counts and measures of events over time and by group (section 1.1)."""

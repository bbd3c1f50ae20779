"""Defaults as data, and the one settings model."""

"""Counting questions answered from what is kept of each lake file's days, exactly as from its events."""

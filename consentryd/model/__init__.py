"""The nouns every other package speaks in: events, outcomes, decisions, identities, keys, clock and errors.

Imports nothing of ours, and no third party.
"""

"""Where events live: per-region log, lake, subject index and keys.

No module outside this package knows a path or a statement of the store.
"""

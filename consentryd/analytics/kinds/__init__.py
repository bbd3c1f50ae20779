"""Kinds of queries that fit in a module each: the question, the answer, and how one becomes the other."""

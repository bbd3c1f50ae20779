"""Consentry: a self-hosted, privacy-first event collection gateway."""

__version__ = "0.1.0"

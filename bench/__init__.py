"""Measurements. As in the gateway, `consentryd` is loaded before anything else: it tells Arrow where to take memory from."""

import consentryd  # noqa: F401

"""Numbers from numbers: tests, intervals, credits, movements and scores, as pure functions over numbers and numpy arrays.

No I/O, no clock, no DuckDB, no scipy. Money is int64 in 1/10,000 of the currency, instants are int64 UTC microseconds, shares are fractions.
What is not defined (no sample, a denominator of 0) is None, or nan inside arrays; never 0.

From a `Stream` to inputs: `exposure` (who saw which variant first, and what they did since), `touch` (journeys before conversions),
`subscription` (MRR of accounts at instants), `feature` (what a propensity may look at).
"""

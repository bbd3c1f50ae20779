"""Numbers from numbers: tests, intervals, credits, movements and scores, as pure functions over numbers and numpy arrays.

No I/O, no clock, no DuckDB, no scipy. Money is int64 in 1/10,000 of the currency, instants are int64 UTC microseconds, shares are fractions.
What is not defined (no sample, a denominator of 0) is None, or nan inside arrays; never 0.

From a `Stream` or rows to inputs: `exposure` (who saw which variant first, and what they did since), `touch` (journeys before conversions),
`subscription` (what accounts pay a month, at instants), `feature` (what a propensity may look at). What these give for disjoint subjects is
added by `merge` or by concatenation.

* Experiments: `experiment` (the report) of `moments`, `proportion`, `mean`, `ratio`, `cuped`, `srm`, `estimate`, `multiplicity`,
  `sequential`, `bayes`; before them `power`.
* Attribution: `attribution` (by rule), `shapley`, `markov`.
* Revenue: `mrr`, `cancellation`, `lifetime`. Customers: `churn`, `rfm`.
* Prediction: `propensity` with `logistic` and `quality`.
"""

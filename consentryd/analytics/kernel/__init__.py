"""What counts as a conversion, a return, a session, a path: pure functions over the arrays of one `Stream`.

No I/O, no clock, no DuckDB. Each kernel gives a partial result of one bucket of subjects; `merge` adds results of disjoint buckets.
Funnels: `funnel` (the question), `solution` (its answer as chains), `conversion` (numbers), `attribution`, `trend`.
Others: `retention`, `lifecycle`, `stickiness`, `sessions`, `paths` (visits), `graph` (passages), `sequences` (whole paths, transitions).
"""

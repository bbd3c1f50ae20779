"""With what left? Detectors, rules, scrubbing, coarsening and pseudonyms. Pure: no input or output."""

"""The shop's events in a gateway, questions about them, and a page that explains every number. `python -m examples.worked_example -h`."""

"""The doors: HTTP, protocol adapters, the pipeline, keys and limits, the command line, and the one place where it is all put together."""

"""Importing what was collected elsewhere: files of native events, or a web server's access log, through the same pipeline as requests."""

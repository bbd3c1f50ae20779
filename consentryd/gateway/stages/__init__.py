"""The stages of the pipeline, one noun each; `gateway/pipeline.py` puts them in order."""

"""The chance that subjects do something, or stay away (section 1.17)."""

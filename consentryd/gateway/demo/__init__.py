"""A shop with a consent banner, for `consentry demo`: static pages that ship with the package, and the server that gives them out."""

"""What for? The query engine and one module per kind of query."""

"""What for? The engine and one module per kind of query."""

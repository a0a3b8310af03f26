"""The data centre: what aggregates, and what it refuses."""

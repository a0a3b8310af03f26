"""Measures, reduced from the records of a run."""

"""A fair search for the keys of arms."""

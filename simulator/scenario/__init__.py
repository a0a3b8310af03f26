"""A scenario file: its tables, their checks and defaults, and what plug-ins add to them."""

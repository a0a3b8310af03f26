"""Commands of the command line that work on one kind of thing."""

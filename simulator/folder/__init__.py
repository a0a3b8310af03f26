"""The run folder and its files: written whole or not at all, read within bounds."""

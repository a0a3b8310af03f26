"""WISDM files: found, parsed line by line, cut at gaps, brought to one unit and one rate."""

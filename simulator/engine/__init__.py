"""Devices computed together in blocks, or one after the other."""

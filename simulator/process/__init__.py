"""The process that Wearfleet runs in: its output, its signals, its memory."""

"""Scripts that measure; nothing here is part of what is installed."""

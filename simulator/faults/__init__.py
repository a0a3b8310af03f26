"""What goes wrong with devices and updates, drawn alike for every arm."""

"""What exists only because this is a simulation: scenarios, fleets, runs and reports."""

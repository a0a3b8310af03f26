"""The devices of one cohort in one arm: their rounds, records, faults, alarms and checkpoints."""

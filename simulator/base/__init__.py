"""What the devices of a fold start with: the base model, thresholds, an arm's programs."""

"""What is settled before a run starts: people, folds, streams, drifts, who takes part."""

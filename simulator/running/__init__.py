"""A run: arms, folds and rounds over workers, and how it goes, told to those who watch."""

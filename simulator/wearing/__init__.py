"""One device by itself: worn in a terminal, written as a SavedModel, or given to a site."""

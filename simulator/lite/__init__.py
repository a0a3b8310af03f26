"""A device's program as one file for phones and watches (LiteRT, once TensorFlow Lite)."""

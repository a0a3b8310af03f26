"""A wearable and its wearer: recordings, streams, programs, and the device that learns."""

"""A SuperLink, a reverse proxy and SuperNodes on one machine's loopback, as they are deployed."""

"""Learn from one's own answers alone."""

from clients.methods.method import Method, MethodOptions, partition

__all__ = ["local"]


def local(options: MethodOptions) -> Method:
    """Keep every parameter on the device, for good."""
    del options
    return partition(("*",), learns="all", downloads="nobody", uploads=False)

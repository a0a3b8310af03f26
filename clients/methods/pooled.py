"""All answers on one server: the upper bound that privacy forbids."""

from clients.methods.method import Method, MethodOptions, partition

__all__ = ["pooled"]


def pooled(options: MethodOptions) -> Method:
    """Answer with the server's model; what the user answers is sent there, windows and all."""
    del options
    return partition((), learns="nobody", downloads="all", uploads=False)

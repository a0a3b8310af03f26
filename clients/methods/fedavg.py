"""Federated averaging (McMahan et al. 2017, algorithm 1, ClientUpdate)."""

from clients.methods.method import Method, MethodOptions, partition

__all__ = ["fedavg"]


def fedavg(options: MethodOptions) -> Method:
    """Share every parameter: begin from the server's, learn, send what came of it."""
    del options
    return partition((), learns="participants", downloads="participants", uploads=True)

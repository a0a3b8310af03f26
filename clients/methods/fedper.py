"""FedPer (Arivazhagan et al. 2019): shared base layers, a personal head."""

from clients.methods.method import Method, MethodOptions, partition

__all__ = ["fedper"]


def fedper(options: MethodOptions) -> Method:
    """Share all but the head; both are learnt together (their algorithm 1)."""
    return partition(options.private, learns="participants", downloads="participants", uploads=True)

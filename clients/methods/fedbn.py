"""FedBN (Li et al. 2021, "FedBN: federated learning on non-IID features")."""

from clients.methods.method import Method, MethodOptions, partition

__all__ = ["fedbn"]


def fedbn(options: MethodOptions) -> Method:
    """Share all but what normalises the features: its scales, shifts and running statistics."""
    return partition(options.private, learns="participants", downloads="participants", uploads=True)

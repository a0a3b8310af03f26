"""Federated averaging first, then each device for itself."""

from clients.methods.fedavg import fedavg
from clients.methods.method import Method, MethodOptions, partition

__all__ = ["finetune"]


def finetune(options: MethodOptions) -> Method:
    """Be `fedavg` up to the switch round; after it every device takes the shared model and leaves.

    The last download is for all devices, each in the first round after the switch in which it can
    be reached.
    """
    if options.round_ <= options.switch_round:
        return fedavg(options)
    return partition((), learns="all", downloads="once", uploads=False)

"""Federated averaging first, then each device for itself."""

from clients.methods.fedavg import fedavg
from clients.methods.local import local
from clients.methods.method import Method, MethodOptions, partition

__all__ = ["finetune"]


def finetune(options: MethodOptions) -> Method:
    """Be `fedavg` up to the switch round; after it every device takes the shared model and leaves.

    The round after the switch begins with one last download, for all devices.
    """
    if options.round_ <= options.switch_round:
        return fedavg(options)
    if options.round_ == options.switch_round + 1:
        return partition((), learns="all", downloads="all", uploads=False)
    return local(options)

"""Never learn: the base model as it left the factory."""

from clients.methods.method import Method, MethodOptions, partition

__all__ = ["frozen"]


def frozen(options: MethodOptions) -> Method:
    """Keep every parameter as it is."""
    del options
    return partition(("*",), learns="nobody", downloads="nobody", uploads=False)

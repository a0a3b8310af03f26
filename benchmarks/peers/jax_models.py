"""The workloads' models in JAX, for one client, written as in `clients/models`."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

__all__ = ["loss", "plain_loss"]

_TAPS = 3
_CONVOLUTIONS = (("conv1", 2), ("conv2", 2), ("conv3", 1))  # with strides


def loss(params: dict[str, Any], x: Any, y: Any) -> Any:
    """Compute the mean cross-entropy of scaled windows [B, T, C] and classes [B]."""
    return _entropy(_logits(params, x, _convolve_slices, _narrow_product), y)


def plain_loss(params: dict[str, Any], x: Any, y: Any) -> Any:
    """Compute the same with JAX's own convolution and product, as people write it at first."""
    return _entropy(_logits(params, x, _convolve_plain, jnp.matmul), y)


def _entropy(logits: Any, y: Any) -> Any:
    hot = jax.nn.one_hot(y, logits.shape[1])
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(logits) * hot, axis=1))


def _logits(params: dict[str, Any], x: Any, convolve: Any, product: Any) -> Any:
    if "conv1/kernel" in params:
        for name, stride in _CONVOLUTIONS:
            kernel, bias = params[f"{name}/kernel"], params[f"{name}/bias"]
            x = jax.nn.relu(convolve(x, kernel, bias, stride))
        features = jnp.concatenate([x.mean(axis=1), x.max(axis=1)], axis=1)
    else:
        x = x.reshape(len(x), -1)
        features = jax.nn.relu(x @ params["hidden/kernel"] + params["hidden/bias"])
    return product(features, params["classes/kernel"]) + params["classes/bias"]


def _convolve_plain(x: Any, kernel: Any, bias: Any, stride: int) -> Any:
    """Convolve [B, T, C] by XLA's convolution."""
    taps = _TAPS * stride
    kernel = kernel.reshape(taps, -1, kernel.shape[1])
    layout = ("NWC", "WIO", "NWC")
    x = x[:, : x.shape[1] // stride * stride]
    found = jax.lax.conv_general_dilated(x, kernel, (stride,), "VALID", dimension_numbers=layout)
    return found + bias


def _convolve_slices(x: Any, kernel: Any, bias: Any, stride: int) -> Any:
    """Convolve [B, T, C] by shifted slices and one product, faster here than XLA's convolution."""
    batch, steps, width = len(x), x.shape[1] // stride, x.shape[2] * stride
    x = x[:, : steps * stride].reshape(batch, steps, width)
    count = steps - _TAPS + 1
    patches = jnp.concatenate([x[:, tap : tap + count] for tap in range(_TAPS)], axis=2)
    flat = patches.reshape(batch * count, _TAPS * width)
    return (flat @ kernel + bias).reshape(batch, count, -1)


def _product(x: Any, kernel: Any) -> Any:
    return x @ kernel


def _product_forward(x: Any, kernel: Any) -> tuple[Any, tuple[Any, Any]]:
    return x @ kernel, (x, kernel)


def _narrow_backward(kept: tuple[Any, Any], above: Any) -> tuple[Any, Any]:
    """Write the kernel's gradient as K sums.

    XLA vectorizes them better than a product of so few columns: the dense workload is a third
    faster by it.
    """
    x, kernel = kept
    columns = [jnp.sum(x * above[:, k, None], axis=0) for k in range(kernel.shape[1])]
    return above @ kernel.T, jnp.stack(columns, axis=1)


_narrow_product = jax.custom_vjp(_product)  # of [B, N] and [N, K] where K is small
_narrow_product.defvjp(_product_forward, _narrow_backward)

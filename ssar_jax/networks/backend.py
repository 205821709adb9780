"""Choices of execution that depend on the backend; none of them changes the structure of parameters."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import jax

from ssar_jax.choices import SeedLayout

_LAYOUT: ContextVar[SeedLayout] = ContextVar("layout", default="auto")


@contextmanager
def use_layout(layout: SeedLayout) -> Iterator[None]:
    """Sets how everything that is built and compiled in the `with` block is executed.

    Args:
        layout: `vmap` as on an accelerator, `loop` as on a CPU, `auto` by the backend.
    """
    token = _LAYOUT.set(layout)
    try:
        yield
    finally:
        _LAYOUT.reset(token)


def is_batched() -> bool:
    """Whether equal computations, such as those of several seeds, run as one batched program.

    By default on accelerators. On a CPU matrix products are the bottleneck, and running them one after the other is as
    fast.
    """
    layout = _LAYOUT.get()
    return jax.default_backend() != "cpu" if layout == "auto" else layout == "vmap"


def states_per_block(batch_size: int) -> int:
    """Returns how many states the critics process at once when each state has many sampled actions.

    A batched program takes the whole minibatch. On a CPU its activations do not fit into the caches: blocks of 16
    states ran 1.3 times as fast as one block of 256.

    Args:
        batch_size: minibatch size B.

    Returns:
        B, or else the largest divisor of B up to 16.
    """
    if is_batched():
        return batch_size
    return max(size for size in range(1, min(16, batch_size) + 1) if batch_size % size == 0)

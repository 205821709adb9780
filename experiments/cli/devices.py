"""What entry points ask of JAX before it starts; the library itself never touches its settings."""

import os


def one_per_seed(num_seeds: int) -> None:
    """Asks for one CPU device per core when several seeds train, each with matrix products of one thread.

    One seed per core beats one seed on all cores. With one seed it asks for calls that compute in the calling
    thread: the small calls that answer environment steps take half the time so. XLA flags that the user set stay
    as they are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(num_seeds, cores)
    if num_seeds == 1:
        import jax

        jax.config.update("jax_cpu_enable_async_dispatch", False)
    elif count > 1 and "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count} --xla_cpu_multi_thread_eigen=false"

"""JAX settings of the entry points, made before JAX starts; the library itself changes none."""

import os


def one_per_seed(num_seeds: int) -> None:
    """Sets up one CPU device per core for several seeds, each with single-threaded matrix products.

    One seed per core is faster than one seed on all cores. For one seed, calls compute in the calling thread, which
    halves the time of the small calls that answer environment steps. XLA_FLAGS set by the user are not changed.

    Args:
        num_seeds: number of seeds to train.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(num_seeds, cores)
    if num_seeds == 1:
        import jax

        jax.config.update("jax_cpu_enable_async_dispatch", False)
    elif count > 1 and "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count} --xla_cpu_multi_thread_eigen=false"

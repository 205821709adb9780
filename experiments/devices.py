"""What entry points ask of XLA before JAX starts; the library itself never touches its flags."""

import os


def one_per_seed(num_seeds: int) -> None:
    """Asks for one CPU device per core when several seeds train, each with matrix products of one thread.

    One seed per core beats one seed on all cores. Flags that the user set stay as they are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(num_seeds, cores)
    if count > 1 and "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count} --xla_cpu_multi_thread_eigen=false"

"""The policy of CQL against the authors' program: the actor's head, its distribution, its boundary densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.coefficients.trust_region import boundary_log_prob
from ssar_jax.networks.actors import TanhGaussianActor
from tests.golden_vectors import golden_files, load_golden

ILL_CONDITIONED = 5e-3
"""The limit in float32 for densities near +-1: one unit in the last place of tanh changes them by up to 2e-3, and
0.99999 itself is rounded, as the README of the vectors explains."""

NEAR_THE_BORDER = 0.9
"""Where an action counts as near +-1; there 1 - a^2, by which its rounding is divided, is 0.19."""


def inputs(arrays, group, dtype):
    """The actor's raw outputs (mean, then raw log-std), given actions, and noise."""
    head = np.concatenate([arrays[f"{group}/mean"], arrays[f"{group}/log_std_raw"]], axis=-1)
    return [x.astype(dtype) for x in (head, arrays[f"{group}/actions"], arrays[f"{group}/eps"])]


def actor_params(arrays, dtype):
    """An actor without hidden layers whose linear map is the identity: its outputs are its inputs."""
    size = 2 * arrays["hyper/act_dim"].item()
    scalars = {f"log_std_{name}": arrays[f"hyper/log_std_{name}"].astype(dtype) for name in ("multiplier", "offset")}
    return {"layer0": {"kernel": np.eye(size, dtype=dtype), "bias": np.zeros(size, dtype)}, **scalars}


def quantities(sizes):
    """The compiled function (params, head, actions, noise) -> everything in the file, under the names in the file."""

    @jax.jit
    def compute(params, head, actions, noise):
        actor = TanhGaussianActor((), actions.shape[-1])

        def policy(head):
            return actor.apply({"params": params}, head)

        def of_actions(head):
            return jnp.mean(jnp.sum(policy(head).log_prob(actions), axis=-1))

        def of_sample(head):
            return jnp.mean(policy(head).sample(noise)[1])

        samples, sample_log_prob = policy(head).sample(noise)
        return {
            "log_prob": policy(head).log_prob(actions),
            "clamped_std": jnp.exp(policy(head).log_std),
            "sample": samples,
            "sample_log_prob": sample_log_prob,
            "deterministic_first_row": policy(head).mode[:1],
            "grad_of_mean_log_prob_actions": jax.grad(of_actions)(head),
            "grad_of_mean_log_prob_sample": jax.grad(of_sample)(head),
        } | {f"boundary_log_prob_n{n:g}": boundary_log_prob(policy(head), n) for n in sizes}

    return compute


def near_the_border(name, arrays, group):
    """Marks the entries that depend on the densities of actions near +-1."""
    mean, std = arrays[f"{group}/mean"].astype(np.float64), arrays[f"{group}/expected64/clamped_std"]
    given = np.abs(arrays[f"{group}/actions"]) > NEAR_THE_BORDER
    if name == "log_prob":
        return given
    if name == "grad_of_mean_log_prob_actions":
        return np.concatenate([given, given], axis=-1)
    if not name.startswith("boundary"):
        return np.zeros((), bool)
    n = float(name.removeprefix("boundary_log_prob_n"))
    reach = np.tanh(mean) - 0.1 * n, np.tanh(mean) + 0.1 * n
    boundaries = [np.clip(np.tanh(mean + sign * n * std), *reach) for sign in (-1.0, 1.0)]
    return np.max(np.abs(boundaries), axis=0) > NEAR_THE_BORDER


# The group `extreme` has standard deviations of e^-20, where float32 cannot resolve the Gaussian's argument.
@pytest.mark.conformance
@pytest.mark.parametrize("path", golden_files("tanh_gaussian"), ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("group", "dtype", "limit"),
    [("moderate", np.float32, 1e-5), ("moderate", np.float64, 1e-10), ("extreme", np.float64, 1e-7)],
)
def test_agrees_with_the_authors(path, group, dtype, limit):
    arrays = load_golden(path)
    prefix = f"{group}/{'expected64' if dtype == np.float64 else 'expected'}/"
    wanted = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
    with jax.enable_x64(dtype == np.float64):
        compute = quantities([float(n) for n in arrays["hyper/n_list"]])
        actual = jax.device_get(compute(actor_params(arrays, dtype), *inputs(arrays, group, dtype)))
    assert actual.keys() == wanted.keys()
    for name, value in actual.items():
        assert (value.shape, value.dtype) == (wanted[name].shape, dtype), name
        error = np.abs(value - wanted[name]) / (1.0 + np.abs(wanted[name]))
        loose = (dtype == np.float32) & near_the_border(name, arrays, group)
        excess = np.max(error / np.where(loose, ILL_CONDITIONED, limit))
        assert excess <= 1.0, f"{path.stem} {group} {name}: {excess:.1f} times the limit"


@pytest.mark.conformance
@pytest.mark.parametrize("path", golden_files("tanh_gaussian"), ids=lambda path: path.stem)
def test_the_vectors_reach_both_clips(path):
    """Of the log-std, and so the gradients compared above hold entries that a clip must stop."""
    arrays = load_golden(path)
    log_std = arrays["hyper/log_std_multiplier"] * arrays["extreme/log_std_raw"] + arrays["hyper/log_std_offset"]
    below, above = log_std < -20.0, log_std > 2.0
    assert np.any(below)
    assert np.any(above)
    for name in ("actions", "sample"):
        by_raw = np.split(arrays[f"extreme/expected64/grad_of_mean_log_prob_{name}"], 2, axis=-1)[1]
        assert np.all(by_raw[below | above] == 0.0)

"""The tanh-Gaussian against hand numbers, quadrature and the authors' program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.ops.distributions import TanhGaussian
from tests.golden_vectors import golden_files, load_golden

# mean, standard deviation (both before the tanh), action, log-density; one dimension each. The fourth by hand:
#   x = atanh(-0.5) = -0.549306,  (x - 0.3) / 0.36787944 = -2.308653,  -0.5 * 2.308653^2 = -2.664939
#   -log 0.36787944 = 1,  -0.5 log(2 pi) = -0.918939,  -log(1 - 0.5^2) = 0.287682;  their sum is -2.296196.
LOG_DENSITIES = [
    (0.0, 0.05, 0.02, 1.997172),
    (0.0, 0.05, 0.9, -429.748520),
    (0.3, 0.36787944, 0.9999, -71.345695),
    (0.3, 0.36787944, -0.5, -2.296197),
    (1.0, 0.2, 0.2, -7.214121),
]


def log_prob(mean, log_std, actions):
    return TanhGaussian(mean, log_std).log_prob(actions)


def sample(mean, log_std, noise):
    return TanhGaussian(mean, log_std).sample(noise)


def test_log_density_by_hand():
    mean, std, action, expected = np.transpose(LOG_DENSITIES)
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(log_prob)(mean, np.log(std), action), expected, atol=1e-6)


def test_log_density_in_float32():
    """Near the border atanh multiplies the rounding of the action, hence the relative 1e-3."""
    mean, std, action, expected = np.transpose(LOG_DENSITIES).astype(np.float32)
    np.testing.assert_allclose(jax.jit(log_prob)(mean, np.log(std), action), expected, rtol=1e-3)


def test_density_integrates_to_one():
    """Midpoint rule on (-1, 1); the densities vanish at the border for standard deviations below 1 / sqrt(2)."""
    cells = 20_000
    midpoints = (np.arange(cells) + 0.5) * 2.0 / cells - 1.0
    mean, log_std = np.array([[0.0], [0.8], [-1.5]]), np.log([[0.6], [0.1], [0.4]])
    with jax.enable_x64(True):
        densities = np.exp(jax.jit(log_prob)(mean, log_std, midpoints[None]))
    np.testing.assert_allclose(densities.sum(axis=1) * 2.0 / cells, 1.0, atol=1e-6)


def test_sample_is_the_squashed_gaussian_with_its_joint_density():
    """The sample is tanh(mean + std * noise), and its density is that of `log_prob`, summed over dimensions."""
    rng = np.random.default_rng(0)
    mean, log_std, noise = rng.normal(size=(3, 5, 2)) * np.array([0.5, 0.3, 1.0])[:, None, None]
    with jax.enable_x64(True):
        actions, joint = jax.jit(sample)(mean, log_std, noise)
        np.testing.assert_allclose(actions, np.tanh(mean + np.exp(log_std) * noise), rtol=1e-12)
        np.testing.assert_allclose(joint, jax.jit(log_prob)(mean, log_std, actions).sum(axis=-1), rtol=1e-10)


def test_noise_may_have_further_axes():
    """[B, A] = [2, 3] parameters and [K, B, A] = [4, 2, 3] noise give 4 samples for each of the 2 states."""
    mean, log_std, noise = np.float32(0.1) * np.ones((2, 3)), np.zeros((2, 3)), np.zeros((4, 2, 3))
    actions, joint = jax.eval_shape(sample, mean, log_std, noise)
    assert (actions.shape, joint.shape) == ((4, 2, 3), (4, 2))


def test_mode_is_the_squashed_mean():
    assert float(TanhGaussian(jnp.float32(0.5), jnp.float32(-3.0)).mode) == pytest.approx(np.tanh(0.5))


def test_extremes_stay_finite():
    """Saturated means, the narrowest and the widest policy, far noise: values and gradients, in float32."""
    mean, log_std, noise = np.meshgrid([-12.0, 0.0, 12.0], [-20.0, 2.0], [-5.0, 5.0])
    parameters = [array.astype(np.float32).reshape(-1, 1) for array in (mean, log_std, noise)]

    @jax.jit
    def values_and_gradients(mean, log_std, noise):
        gradients = jax.grad(lambda m, s: jnp.mean(sample(m, s, noise)[1]), argnums=(0, 1))(mean, log_std)
        return sample(mean, log_std, noise), gradients

    for leaf in jax.tree.leaves(values_and_gradients(*parameters)):
        assert np.all(np.isfinite(leaf))
    # The float32 next to 1 is still inside, and has a finite density.
    border = np.nextafter(np.float32([1.0, -1.0]), np.float32(0.0))
    assert np.all(np.isfinite(jax.jit(log_prob)(np.zeros(2, np.float32), np.zeros(2, np.float32), border)))


# The group `extreme` has standard deviations of e^-20, where float32 cannot resolve the Gaussian's argument.
@pytest.mark.conformance
@pytest.mark.parametrize(
    ("group", "dtype", "limit"),
    [("moderate", np.float64, 1e-10), ("extreme", np.float64, 1e-7), ("moderate", np.float32, 1e-5)],
)
def test_agrees_with_the_authors(group, dtype, limit):
    for path in golden_files("tanh_gaussian"):
        arrays = load_golden(path)
        expected = f"{group}/expected64" if dtype == np.float64 else f"{group}/expected"
        wanted = {key.rsplit("/", 1)[1]: arrays[key] for key in arrays if key.startswith(f"{expected}/")}
        with jax.enable_x64(dtype == np.float64):
            multiplier, offset = (arrays[f"hyper/log_std_{name}"].astype(dtype) for name in ("multiplier", "offset"))
            inputs = [arrays[f"{group}/{name}"].astype(dtype) for name in ("mean", "log_std_raw", "actions", "eps")]
            actual = jax.device_get(jax.jit(golden_quantities)(multiplier, offset, *inputs))
        for name, value in actual.items():
            error = np.max(np.abs(value - wanted[name]) / (1.0 + np.abs(wanted[name])))
            # One unit in the last place of an action near 1 moves its atanh, and what follows from it.
            ill_conditioned = dtype == np.float32 and name in ("log_prob", "grad_of_mean_log_prob_actions")
            allowed = 5e-3 if ill_conditioned else limit
            assert error <= allowed, f"{path.stem} {group} {name}: error {error:.2e}"


def golden_quantities(multiplier, offset, mean, raw, actions, noise):
    """The quantities of the file that `TanhGaussian` computes, under the names they have there."""

    def policy(mean, raw):
        return TanhGaussian(mean, jnp.clip(multiplier * raw + offset, -20.0, 2.0))

    def mean_log_prob_of_actions(mean, raw):
        return jnp.mean(jnp.sum(policy(mean, raw).log_prob(actions), axis=-1))

    def mean_log_prob_of_sample(mean, raw):
        return jnp.mean(policy(mean, raw).sample(noise)[1])

    samples, sample_log_prob = policy(mean, raw).sample(noise)
    return {
        "log_prob": policy(mean, raw).log_prob(actions),
        "sample": samples,
        "sample_log_prob": sample_log_prob,
        "deterministic_first_row": policy(mean, raw).mode[0],
        "grad_of_mean_log_prob_actions": jnp.concatenate(
            jax.grad(mean_log_prob_of_actions, argnums=(0, 1))(mean, raw), axis=-1
        ),
        "grad_of_mean_log_prob_sample": jnp.concatenate(
            jax.grad(mean_log_prob_of_sample, argnums=(0, 1))(mean, raw), axis=-1
        ),
    }

"""The tanh-squashed Gaussian of SAC and CQL."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ssar_jax.types import Array

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_LOG_2 = math.log(2.0)


def gaussian_log_prob(x: Array, mean: Array, log_std: Array) -> Array:
    """Computes log N(x; mean, exp(log_std)^2) per dimension.

    Args:
        x: values, [..., A].
        mean: means, [..., A].
        log_std: logarithms of the standard deviations, [..., A] or [A].

    Returns:
        Log-densities, [..., A].
    """
    return -0.5 * ((x - mean) * jnp.exp(-log_std)) ** 2 - log_std - _LOG_SQRT_2PI


class TanhGaussian(NamedTuple):
    """The distribution of tanh(x) with x ~ N(mean, exp(log_std)^2), independent per dimension.

    Haarnoja et al., 2018, appendix C, https://arxiv.org/abs/1812.05905.

    Attributes:
        mean: means of x, [..., A].
        log_std: logarithms of the standard deviations of x, [..., A].
    """

    mean: Array
    log_std: Array

    @property
    def mode(self) -> Array:
        """The deterministic action tanh(mean), [..., A]."""
        return jnp.tanh(self.mean)

    def sample(self, noise: Array) -> tuple[Array, Array]:
        """Draws reparametrized samples, differentiable in `mean` and `log_std`.

        Args:
            noise: standard normal, [..., A], or with extra axes that broadcast against the parameters.

        Returns:
            Actions [..., A] in (-1, 1) and their joint log-densities [...]. The densities are computed from x, because
            tanh rounds to 1 for large x and could not be inverted.
        """
        x = self.mean + jnp.exp(self.log_std) * noise
        return jnp.tanh(x), jnp.sum(self._log_density(x), axis=-1)

    def log_prob(self, actions: Array) -> Array:
        """Computes the log-density of given actions per dimension.

        Args:
            actions: [..., A], strictly inside (-1, 1).

        Returns:
            Log-densities, [..., A].
        """
        return self._log_density(jnp.arctanh(actions))

    def _log_density(self, x: Array) -> Array:
        """Computes log N(x; mean, std^2) - log(1 - tanh(x)^2), whose second term is written in its stable form."""
        return gaussian_log_prob(x, self.mean, self.log_std) - 2.0 * (_LOG_2 - x - jax.nn.softplus(-2.0 * x))

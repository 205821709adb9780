"""The tanh-squashed Gaussian of SAC and CQL."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ssar_jax.types import Array

_LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
_LOG_2 = math.log(2.0)


def gaussian_log_prob(x: Array, mean: Array, log_std: Array) -> Array:
    """The log-density log N(x; mean, exp(log_std)) per dimension."""
    return -0.5 * ((x - mean) * jnp.exp(-log_std)) ** 2 - log_std - _LOG_SQRT_2PI


class TanhGaussian(NamedTuple):
    """The law of tanh(x) for x ~ Normal(mean, exp(log_std)), independent per dimension.

    Attributes:
        mean: [..., A], before the tanh.
        log_std: [..., A].
    """

    mean: Array
    log_std: Array

    @property
    def mode(self) -> Array:
        """The deterministic action tanh(mean), [..., A]."""
        return jnp.tanh(self.mean)

    def sample(self, noise: Array) -> tuple[Array, Array]:
        """Reparametrised sample from standard normal `noise`.

        Args:
            noise: [..., A], or with extra axes that broadcast against the parameters.

        Returns:
            The actions [..., A] and their joint log-density [...], computed from the value before the tanh,
            so that no inverse of a rounded tanh occurs.
        """
        x = self.mean + jnp.exp(self.log_std) * noise
        return jnp.tanh(x), jnp.sum(self._log_density(x), axis=-1)

    def log_prob(self, actions: Array) -> Array:
        """Log-density per dimension of given actions strictly inside (-1, 1), [..., A]."""
        return self._log_density(jnp.arctanh(actions))

    def _log_density(self, x: Array) -> Array:
        """The log-density log N(x; mean, std) - log(1 - tanh(x)^2), the latter in its stable form."""
        return gaussian_log_prob(x, self.mean, self.log_std) - 2.0 * (_LOG_2 - x - jax.nn.softplus(-2.0 * x))

"""LayerNorm as a Flax module, with the parameters of Flax's own and a faster derivative."""

from flax import linen as nn

from ssar_jax.networks.backend import is_batched
from ssar_jax.ops.normalization import layer_norm
from ssar_jax.types import Array


class LayerNorm(nn.Module):
    """Normalizes the last axis, then multiplies it by `scale`, initially 1, and adds `bias`, initially 0.

    Attributes:
        epsilon: added to the variance.
    """

    epsilon: float

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Maps inputs [..., H] to outputs of the same shape."""
        width = inputs.shape[-1:]
        scale = self.param("scale", nn.initializers.ones_init(), width)
        bias = self.param("bias", nn.initializers.zeros_init(), width)
        return layer_norm(inputs, scale, bias, self.epsilon, not is_batched())

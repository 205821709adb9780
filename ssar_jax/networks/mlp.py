"""The multilayer perceptron under every network of the library."""

from collections.abc import Sequence

from flax import linen as nn

from ssar_jax.networks import initializers
from ssar_jax.types import Array


class MLP(nn.Module):
    """Linear, optional LayerNorm, ReLU for every hidden layer; then a linear output layer.

    Parameters are named `layer{i}` and `layernorm{i}`. A bias without an initialiser of its own gets
    PyTorch's default, which depends on the width of the layer's input.

    Attributes:
        hidden_sizes: widths of the hidden layers.
        output_size: width of the output.
        layer_norm: whether LayerNorm stands between a hidden linear map and its ReLU.
        layer_norm_epsilon: added to the variance; PyTorch's value, where Flax's own is 1e-6.
        kernel_init: initialiser of the hidden kernels.
        bias_init: initialiser of the hidden biases; None for PyTorch's default.
        output_kernel_init: initialiser of the last kernel; None for `kernel_init`.
        output_bias_init: initialiser of the last bias; None for `bias_init`.
    """

    hidden_sizes: Sequence[int]
    output_size: int
    layer_norm: bool = False
    layer_norm_epsilon: float = 1e-5
    kernel_init: initializers.Initialiser = initializers.torch_kernel()
    bias_init: initializers.Initialiser | None = None
    output_kernel_init: initializers.Initialiser | None = None
    output_bias_init: initializers.Initialiser | None = None

    @nn.compact
    def __call__(self, inputs: Array) -> Array:
        """Maps [..., I] to [..., output_size]."""
        x = inputs
        for i, width in enumerate(self.hidden_sizes):
            bias_init = self.bias_init or initializers.torch_bias(x.shape[-1])
            x = nn.Dense(width, kernel_init=self.kernel_init, bias_init=bias_init, name=f"layer{i}")(x)
            if self.layer_norm:
                x = nn.LayerNorm(epsilon=self.layer_norm_epsilon, use_fast_variance=False, name=f"layernorm{i}")(x)
            x = nn.relu(x)
        return nn.Dense(
            self.output_size,
            kernel_init=self.output_kernel_init or self.kernel_init,
            bias_init=self.output_bias_init or self.bias_init or initializers.torch_bias(x.shape[-1]),
            name=f"layer{len(self.hidden_sizes)}",
        )(x)

"""The multilayer perceptron that all networks are built from."""

from collections.abc import Sequence

from flax import linen as nn

from ssar_jax.networks import initializers
from ssar_jax.networks.layer_norm import LayerNorm
from ssar_jax.types import Array


class MLP(nn.Module):
    """A multilayer perceptron: hidden layers (linear, optional LayerNorm, ReLU) and a linear output layer.

    Parameters are named `layer{i}` and `layernorm{i}`.

    Attributes:
        hidden_sizes: widths of the hidden layers.
        output_size: width of the output layer.
        layer_norm: whether LayerNorm follows every hidden linear layer.
        layer_norm_epsilon: added to the variance; 1e-5 is PyTorch's default, Flax's is 1e-6.
        norm_last: whether LayerNorm follows the ReLU instead of preceding it.
        kernel_init: initializer of the hidden kernels.
        bias_init: initializer of the hidden biases; None for PyTorch's default.
        output_kernel_init: initializer of the last kernel; None for `kernel_init`.
        output_bias_init: initializer of the last bias; None for `bias_init`.
    """

    hidden_sizes: Sequence[int]
    output_size: int
    layer_norm: bool = False
    layer_norm_epsilon: float = 1e-5
    norm_last: bool = False
    kernel_init: initializers.Initializer = initializers.torch_kernel()
    bias_init: initializers.Initializer | None = None
    output_kernel_init: initializers.Initializer | None = None
    output_bias_init: initializers.Initializer | None = None

    @nn.compact
    def __call__(self, inputs: Array, dropout: Sequence[Array] = ()) -> Array:
        """Maps inputs [..., I] to outputs [..., output_size].

        Args:
            inputs: [..., I].
            dropout: factors on the output of each hidden linear layer, 0 or 1 / (1 - rate), one [..., H] per layer;
                empty for no dropout.
        """
        x = inputs
        for i, width in enumerate(self.hidden_sizes):
            bias_init = self.bias_init or initializers.torch_bias(x.shape[-1])
            x = nn.Dense(width, kernel_init=self.kernel_init, bias_init=bias_init, name=f"layer{i}")(x)
            if dropout:
                x = x * dropout[i]
            if self.norm_last:
                x = nn.relu(x)
            if self.layer_norm:
                x = LayerNorm(self.layer_norm_epsilon, name=f"layernorm{i}")(x)
            if not self.norm_last:
                x = nn.relu(x)
        return nn.Dense(
            self.output_size,
            kernel_init=self.output_kernel_init or self.kernel_init,
            bias_init=self.output_bias_init or self.bias_init or initializers.torch_bias(x.shape[-1]),
            name=f"layer{len(self.hidden_sizes)}",
        )(x)

"""An EDAC that compiles fast and can be recomputed in NumPy: sizes, numbers, a batch, a state."""

import itertools

import jax
import numpy as np

from ssar_jax.algorithms import edac
from tests.algorithms.states import with_params
from tests.networks.numpy_networks import mlp

SMALL = edac.EDACConfig(
    discount=0.9,
    tau=0.1,
    actor_hidden_sizes=(3, 2),
    actor_learning_rate=0.01,
    critic_hidden_sizes=(3, 2),
    critic_learning_rate=0.02,
    num_critics=3,
    eta=1.5,
)
SHAPES = np.zeros((1, 2)), np.zeros((1, 2))


def make_state(seed=0):
    """Random parameters, targets that differ from the online critics, a temperature of exp(-0.5), fresh optimizers."""
    shapes = jax.eval_shape(edac.edac(2, SMALL).init, jax.random.key(0), *SHAPES)
    rng = np.random.default_rng(seed)

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.5, size=leaf.shape), shapes)

    def zero(leaf):
        return np.zeros(leaf.shape, leaf.dtype if leaf.dtype == np.int32 else np.float64)

    return with_params(
        jax.tree.map(zero, shapes),
        actor=fill(shapes.actor.params),
        critics=fill(shapes.critics.params),
        target_critics=fill(shapes.target_critics),
        temperature=np.array(-0.5),
    )


def members(stacked):
    """The parameters of each critic of a stacked tree."""
    count = len(jax.tree.leaves(stacked)[0])
    return [jax.tree.map(lambda leaf, i=i: np.array(leaf[i], np.float64), stacked) for i in range(count)]


def stack(trees):
    """The stacked tree of the critics' parameters."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def sample(params, observations, noise):
    """Actions and their log-density in NumPy, by the change of variables; the log-std is clipped to [-5, 2].

    1 - tanh(x)^2 is written as 1 / cosh(x)^2, which loses no digits where tanh(x) is near 1.
    """
    mean, raw = np.split(mlp(params, observations), 2, axis=-1)
    log_std = np.where(raw.real < -5.0, -5.0, np.where(raw.real > 2.0, 2.0, raw))
    x = mean + np.exp(log_std) * noise
    gaussian = -0.5 * noise**2 - log_std - 0.5 * np.log(2.0 * np.pi)
    return np.tanh(x), np.sum(gaussian + 2.0 * np.log(np.cosh(x)), axis=-1)


def slope(params, observations, actions):
    """dQ(s, a) / da by the chain rule, [B, A]: backward through the layers whose units are on."""
    x, kernels, on = np.concatenate([observations, actions], axis=-1), [], []
    for i in itertools.count():
        kernel, bias = params[f"layer{i}"]["kernel"], params[f"layer{i}"]["bias"]
        kernels.append(kernel)
        x = x @ kernel + bias
        if f"layer{i + 1}" not in params:
            break
        on.append(x.real > 0.0)
        x = np.where(on[-1], x, 0.0)
    back = np.repeat(kernels[-1].T, len(observations), axis=0)
    for kernel, units in zip(kernels[-2::-1], on[::-1], strict=True):
        back = (back * units) @ kernel.T
    return back[:, observations.shape[1] :]


def unit(gradients):
    """Gradients of length 1; those of 0 stay."""
    return gradients / (np.sqrt(np.sum(gradients**2, axis=-1, keepdims=True)) + 1e-10)

"""An IQL that compiles fast and can be recomputed in NumPy: sizes, numbers, compiled updates, a state."""

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms import iql
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import make_batch
from tests.networks.numpy_networks import mlp

SIZES = iql.IQLConfig(hidden_sizes=(3, 2))
NUMBERS = {"learning_rate": 0.01, "tau": 0.1, "discount": 0.9, "expectile": 0.7, "temperature": 3.0}
BATCH = jax.tree.map(np.float64, make_batch(0)[0])
VARIANTS = {
    "corl": SIZES,
    "corl, deterministic": SIZES._replace(deterministic=True),
    "official": SIZES._replace(order="official", actor_schedule="constant"),
}


class Program:
    """One compiled update in double precision; the numbers are arguments of the compiled function."""

    def __init__(self, config):
        self.config = config
        self._compiled = jax.jit(self._update, static_argnames="phase")

    def _update(self, numbers, state, batch, step, phase):
        algorithm = iql.iql(2, config=self.config._replace(**numbers))
        return algorithm.update(state, batch, (), step=step, annealing=1.0, phase=phase)

    def __call__(self, state, batch=BATCH, step=1, phase="offline", **options):
        with jax.enable_x64(True):
            compiled = self._compiled(NUMBERS | options, state, batch, jnp.int32(step), phase=phase)
            state, metrics = jax.device_get(compiled)
        return state, {name: float(average.total) for name, average in metrics.items()}


PROGRAMS = {name: Program(config) for name, config in VARIANTS.items()}


def make_state(config=SIZES, seed=115, dtype=np.float64, action_size=2):
    """Random parameters, targets that differ from the online critics, fresh optimizers.

    With this seed each target critic is the smaller one on some rows, which the reference in NumPy asserts.
    """
    shapes = jax.eval_shape(
        iql.iql(action_size, config=config).init,
        jax.random.key(0),
        BATCH.observations,
        BATCH.actions[:, :action_size],
    )
    rng = np.random.default_rng(seed)

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.7, size=leaf.shape).astype(dtype), shapes)

    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype if leaf.dtype == np.int32 else dtype), shapes)
    values = with_params(
        zeros.values,
        critics=fill(shapes.values.critics.params),
        target_critics=fill(shapes.values.target_critics),
        value=fill(shapes.values.value.params),
    )
    return with_params(zeros, values=values, actor=fill(shapes.actor.params))


def shifted(params, offset, last="layer2"):
    """A network whose output is `offset` higher."""
    return {**params, last: {**params[last], "bias": params[last]["bias"] + offset}}


def distance(params, batch, deterministic):
    """Squared distance to the data, or minus its log-density under a Gaussian around the squashed mean, [B]."""
    mean = np.tanh(mlp(params, batch.observations))
    if deterministic:
        return np.sum((mean - batch.actions) ** 2, axis=-1)
    log_std = params["log_std"]
    density = -0.5 * ((batch.actions - mean) / np.exp(log_std)) ** 2 - log_std - 0.5 * np.log(2.0 * np.pi)
    return -np.sum(density, axis=-1)

"""A CQL that compiles fast and can be recomputed in NumPy: sizes, numbers, compiled updates, a state."""

import jax
import jax.numpy as jnp
import numpy as np

from ssar_jax.algorithms import cql
from ssar_jax.coefficients.constant import constant
from ssar_jax.coefficients.state_adaptive import state_adaptive
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc import small_td3_bc
from tests.networks.numpy_networks import mlp

ROWS = 18  # two blocks of nine on a CPU
LOCOMOTION = cql.CQLConfig(
    actor_hidden_sizes=(3, 2), critic_hidden_sizes=((3, 2), (3, 2)), critic_layer_norm=False, num_actions=3
)
ANTMAZE = LOCOMOTION._replace(lagrange=True, max_backup=True, backup_entropy=True)
RATE = 0.01
NUMBERS = {
    "discount": 0.9,
    "tau": 0.1,
    "actor_learning_rate": RATE,
    "critic_learning_rate": RATE,
    "temperature_multiplier": 1.0,
    "softmax_temperature": 1.0,
    "difference_min": -np.inf,
    "difference_max": np.inf,
    "target_gap": 0.8,
    "actor_bc_weight": 0.0,
}
BETA = 2.0  # the initial coefficient


def adaptive(learning_rate):
    """beta(s) = 1.5 * 2 * sigmoid(z(s))."""
    return state_adaptive(BETA, hidden_sizes=(3,), learning_rate=learning_rate, mask_regularizer=True)


def plain(state, batch, draws, numbers):
    """One update of CQL(SA) with the settings of locomotion."""
    numbers = dict(numbers)
    coefficient, annealing = adaptive(numbers.pop("beta_learning_rate")), numbers.pop("annealing")
    algorithm = cql.cql(2, coefficient, config=LOCOMOTION._replace(**numbers))
    return algorithm.update(state, batch, draws, step=jnp.int32(1), annealing=annealing, phase="offline")


def antmaze(state, batch, draws, numbers):
    """One update of CQL with a Lagrange multiplier, max backup and the entropy in the target."""
    numbers = dict(numbers)
    algorithm = cql.cql(2, constant(numbers.pop("beta")), config=ANTMAZE._replace(**numbers))
    return algorithm.update(state, batch, draws, step=jnp.int32(1), annealing=1.0, phase="offline")


DEFAULTS = {plain: {"beta_learning_rate": 0.01, "annealing": 1.0}, antmaze: {"beta": BETA}}
COMPILED = {update: jax.jit(update) for update in DEFAULTS}


def run(update, state, batch=None, draws=None, **options):
    """Runs one compiled update in double precision; the hyperparameters are arguments of the compiled function."""
    batch, draws = BATCH if batch is None else batch, make_draws(update is antmaze) if draws is None else draws
    numbers = {name: np.float64(number) for name, number in (NUMBERS | DEFAULTS[update] | options).items()}
    with jax.enable_x64(True):
        state, metrics = COMPILED[update](state, batch, draws, numbers)
        return jax.device_get(state), {name: float(average.total) for name, average in metrics.items()}


def make_batch(seed=0, dtype=np.float64):
    return jax.tree.map(dtype, small_td3_bc.make_batch(seed, ROWS)[0])


BATCH = make_batch()


def make_draws(max_backup=False, seed=1, dtype=np.float64):
    rng = np.random.default_rng(seed)
    several = (ROWS, LOCOMOTION.num_actions, 2)
    draws = cql.CQLDraws(
        rng.normal(size=(ROWS, 2)),
        rng.normal(size=several if max_backup else (ROWS, 2)),
        rng.uniform(-1.0, 1.0, several),
        rng.normal(size=several),
        rng.normal(size=several),
    )
    return jax.tree.map(dtype, draws)


def make_state(update=plain, seed=26, dtype=np.float64):
    """Random parameters, targets that differ from the online critics, temperature e^-0.5, fresh optimizers, beta 2.

    With this seed no unit of the critics is dead, and each critic is the smaller one on some rows.
    """
    coefficient, config = (adaptive(0.01), LOCOMOTION) if update is plain else (constant(BETA), ANTMAZE)
    shapes = jax.eval_shape(cql.cql(2, coefficient, config=config).init, jax.random.key(0), *BATCH[:2])
    rng = np.random.default_rng(seed)

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.5, size=leaf.shape).astype(dtype), shapes)

    def zero(leaf):
        return np.zeros(leaf.shape, dtype if leaf.dtype.kind == "f" else leaf.dtype)

    state = with_params(
        jax.tree.map(zero, shapes),
        actor=fill(shapes.actor.params),
        critics=fill(shapes.critics.params),
        target_critics=fill(shapes.target_critics),
        temperature=dtype(-0.5),
        multiplier=dtype(0.3),
    )
    if update is plain:
        params = fill(shapes.coefficient.network.params)
        params["layer1"] = {"kernel": np.zeros((3, 1), dtype), "bias": np.full(1, np.log(2.0), dtype)}
        coefficient_state = with_params(state.coefficient, network=params, n=dtype(1.0), active=np.bool_(1))
        state = state._replace(coefficient=coefficient_state)
    return state


def shifted(critics, offset):
    """Critics whose values are `offset` higher."""
    return tuple({**p, "layer2": {**p["layer2"], "bias": p["layer2"]["bias"] + offset}} for p in critics)


def sample(params, observations, noise):
    """Actions and their log-density in NumPy, by the change of variables.

    Args:
        params: parameters of the actor.
        observations: [B, O].
        noise: standard normal, [B, A], or [B, K, A] for K samples per state.
    """
    if noise.ndim == 3:
        observations = np.repeat(observations[:, None], noise.shape[1], axis=1)
    mean, raw = np.split(mlp(params, observations), 2, axis=-1)
    log_std = params["log_std_multiplier"] * raw + params["log_std_offset"]
    assert np.all((log_std > -20.0) & (log_std < 2.0))
    actions = np.tanh(mean + np.exp(log_std) * noise)
    gaussian = -0.5 * noise**2 - log_std - 0.5 * np.log(2.0 * np.pi)
    return actions, np.sum(gaussian - np.log(1.0 - actions**2), axis=-1)

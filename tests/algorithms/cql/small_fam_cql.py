"""A FamCQL that compiles fast and can be recomputed in NumPy: sizes, numbers, compiled updates, a state."""

from functools import cache

import jax
import numpy as np

from ssar_jax.algorithms import fam_cql
from tests.algorithms.cql.small_cql import BATCH, ROWS, sample
from tests.algorithms.states import with_params
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, mlp, norm, polyak

SIZES = fam_cql.FamCQLConfig(
    actor_hidden_sizes=(3, 2),
    balance_hidden_sizes=(3, 2),
    critic_hidden_sizes=(3, 2),
    critic_layer_norm=False,
    num_actions=3,
)
RATE = 0.01
NUMBERS = {
    "discount": 0.9,
    "tau": 0.1,
    "actor_learning_rate": RATE,
    "balance_learning_rate": 2 * RATE,
    "critic_learning_rate": 3 * RATE,
    "low": 0.5,
    "high": 1.5,
    "penalty_weight": 0.7,
}


def _update(numbers, state, batch, draws, phase, next_coefficient):
    algorithm = fam_cql.fam_cql(2, config=SIZES._replace(**numbers, next_coefficient=next_coefficient))
    return algorithm.update(state, batch, draws, step=np.int32(1), annealing=1.0, phase=phase)


_COMPILED = jax.jit(_update, static_argnames=("phase", "next_coefficient"))


def run(phase, state, batch=BATCH, draws=None, next_coefficient="current", **numbers):
    """Runs one compiled update in double precision; the hyperparameters are arguments of the compiled function."""
    draws = make_draws() if draws is None else draws
    numbers = {name: np.float64(number) for name, number in (NUMBERS | numbers).items()}
    with jax.enable_x64(True):
        state, metrics = _COMPILED(numbers, state, batch, draws, phase, next_coefficient)
        return jax.device_get(state), {name: float(average.total) for name, average in metrics.items()}


def make_draws(seed=1):
    rng = np.random.default_rng(seed)
    single, several = (ROWS, 2), (ROWS, SIZES.num_actions, 2)
    return fam_cql.FamCQLDraws(
        balance=rng.normal(size=(ROWS, 1)),
        coefficients=rng.uniform(0.5, 1.5, ROWS),
        actions=rng.normal(size=single),
        balanced_actions=rng.normal(size=single),
        target_actions=rng.normal(size=single),
        uniform=rng.uniform(-1.0, 1.0, several),
        current=rng.normal(size=several),
        following=rng.normal(size=several),
    )


@cache
def _shapes():
    return jax.eval_shape(fam_cql.fam_cql(2, config=SIZES).init, jax.random.key(0), *BATCH[:2])


def make_state(seed=3):
    """Random parameters, targets that differ from the online critics, temperature e^-0.5, fresh optimizers."""
    shapes = _shapes()
    rng = np.random.default_rng(seed)
    zeros = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, np.float64 if leaf.dtype.kind == "f" else leaf.dtype), shapes
    )

    def fill(shapes):
        return jax.tree.map(lambda leaf: rng.normal(scale=0.5, size=leaf.shape), shapes)

    return with_params(
        zeros,
        actor=fill(shapes.actor.params),
        balance=fill(shapes.balance.params),
        critics=fill(shapes.critics.params),
        target_critics=fill(shapes.target_critics),
        temperature=np.float64(-0.5),
    )


def embed(b):
    """The embedding by its definition, one frequency after the other: [B] to [B, 6]."""
    phases = [b / 10_000.0 ** (2 * i / 6) for i in range(3)]
    return np.stack([function(phase) for phase in phases for function in (np.sin, np.cos)], axis=-1)


def coefficients(params, observations, noise):
    """The balance network's sampled coefficients with the published map of (0.5, 1.5), [B]."""
    return 0.5 + sample(params, observations, noise)[0][:, 0]


def family(params, observations, b, noise):
    """Actions of the policy family and their log-density."""
    return sample(params, np.concatenate([observations, embed(b)], axis=-1), noise)


class NumpyFamCQL:
    """FamCQL in NumPy, in the order of its specification."""

    def __init__(self, state):
        self.actor, self.balance, self.log_temperature = (
            as_numpy(network.params) for network in (state.actor, state.balance, state.temperature)
        )
        self.critics, self.targets = list(as_numpy(state.critics.params)), list(as_numpy(state.target_critics))
        self._adams = {
            "actor": Adam(self.actor, RATE),
            "balance": Adam(self.balance, 2 * RATE),
            "log_temperature": Adam(self.log_temperature, RATE),
        }
        self._critic_adams = [Adam(params, 3 * RATE) for params in self.critics]

    def _smaller(self, observations, actions):
        """min(Q1, Q2); asserts that each of them is the smaller one on some rows."""
        first, second = (critic(params, observations, actions) for params in self.critics)
        is_first = first.real < second.real
        assert 0 < np.sum(is_first) < ROWS
        return np.where(is_first, first, second)

    def update(self, b, draws, phase):
        """Takes one step and returns the metrics."""
        alpha = np.exp(self.log_temperature)
        balanced = coefficients(self.balance, b.observations, draws.balance)
        used = draws.coefficients if phase == "offline" else balanced
        _, log_prob = family(self.actor, b.observations, used, draws.actions)

        def temperature_loss(log_temperature):
            return -log_temperature * np.mean(log_prob - 2.0)  # two dimensions

        def actor_loss(params):
            actions, log_prob = family(params, b.observations, used, draws.actions)
            return np.mean(alpha * log_prob - used * self._smaller(b.observations, actions))

        def balance_loss(params):
            b_h = coefficients(params, b.observations, draws.balance)
            actions, _ = family(self.actor, b.observations, b_h, draws.balanced_actions)
            return -np.mean(self._smaller(b.observations, actions))

        critic_loss, target = self._critic_loss(b, draws, used, balanced)
        losses = {"actor": actor_loss, "balance": balance_loss, "log_temperature": temperature_loss}
        gradients = {name: gradient(loss, getattr(self, name)) for name, loss in losses.items()}
        critic_gradients = [gradient(critic_loss, params) for params in self.critics]
        metrics = {
            "actor/loss": actor_loss(self.actor),
            "actor/entropy": -np.mean(log_prob),
            "actor/temperature": alpha,
            "actor/temperature_loss": temperature_loss(self.log_temperature),
            "actor/grad_norm": norm(gradients["actor"]),
            "balance/loss": balance_loss(self.balance),
            "balance/grad_norm": norm(gradients["balance"]),
            "balance/coefficient_mean": np.mean(balanced),
            "balance/coefficient_std": np.std(balanced),
            "critic/loss": sum(critic_loss(params) for params in self.critics),
            "critic/target_mean": np.mean(target),
        }
        for i, tree in enumerate(critic_gradients):
            metrics[f"critic/grad_norm_{i + 1}"] = norm(tree)
        for name, adam in self._adams.items():
            setattr(self, name, adam.step(getattr(self, name), gradients[name]))
        self.critics = [
            adam.step(params, tree)
            for adam, params, tree in zip(self._critic_adams, self.critics, critic_gradients, strict=True)
        ]
        self.targets = [polyak(t, c, NUMBERS["tau"]) for t, c in zip(self.targets, self.critics, strict=True)]
        return metrics

    def _critic_loss(self, b, draws, used, balanced):
        """The loss of one critic as a function of its parameters, and the target [B]."""
        next_action, _ = family(self.actor, b.next_observations, balanced, draws.target_actions)
        values = np.minimum(*(critic(params, b.next_observations, next_action) for params in self.targets))
        target = b.rewards + NUMBERS["discount"] * b.masks * values
        following, following_log_prob = family(self.actor, b.next_observations, balanced, draws.following)
        current, current_log_prob = family(self.actor, b.observations, used, draws.current)
        repeated = np.repeat(b.observations[:, None], SIZES.num_actions, axis=1)

        def loss(params):
            terms = [
                critic(params, repeated, draws.uniform) + 2.0 * np.log(2.0),
                critic(params, repeated, following) - following_log_prob,
                critic(params, repeated, current) - current_log_prob,
            ]
            soft_maximum = np.log(np.sum(np.exp(np.concatenate(terms, axis=1)), axis=1))
            data = critic(params, b.observations, b.actions)
            return np.mean((data - target) ** 2) + NUMBERS["penalty_weight"] * np.mean(soft_maximum - data)

        return loss, target


def deterministic_coefficients(params, observations):
    """The balance network's mode through the published map of (0.5, 1.5)."""
    return 0.5 + np.tanh(mlp(params, observations)[..., 0])

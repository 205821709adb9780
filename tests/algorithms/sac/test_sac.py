"""Soft actor-critic: whole updates against NumPy, and the direction of the temperature."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import sac
from ssar_jax.types import Batch
from tests.algorithms.states import with_params
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, mlp, norm, polyak

RATE, TAU, DISCOUNT = 0.01, 0.1, 0.9
CONFIG = sac.SACConfig(hidden_sizes=(3, 2), learning_rate=RATE, tau=TAU, discount=DISCOUNT)
ALGORITHM = sac.sac(2, config=CONFIG)


def make_batch(seed, rows=6):
    """A batch with two observations, two actions and some terminal rows; and the draws of an update."""
    rng = np.random.default_rng(seed)
    batch = Batch(
        rng.normal(size=(rows, 2)),
        rng.uniform(-1.0, 1.0, (rows, 2)),
        rng.normal(size=rows),
        (np.arange(rows) % 3 > 0).astype(float),
        rng.normal(size=(rows, 2)),
        np.ones(rows),
    )
    return batch, sac.SACDraws(rng.normal(size=(rows, 2)), rng.normal(size=(rows, 2)))


BATCH, DRAWS = make_batch(0)


def make_state(seed=1):
    """Random parameters, targets that differ from the online critics, a temperature of exp(-0.5), fresh optimizers.

    With this seed each critic is the smaller one on some rows, which the reference asserts.
    """
    shapes = jax.eval_shape(ALGORITHM.init, jax.random.key(0), BATCH.observations, BATCH.actions)
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


@pytest.fixture(scope="module")
def update():
    """One compiled update in double precision: (state, batch, draws) -> state, metrics."""
    compiled = jax.jit(ALGORITHM.update, static_argnames="phase")

    def run(state, batch=BATCH, draws=DRAWS):
        with jax.enable_x64(True):
            state, metrics = compiled(state, batch, draws, step=jnp.int32(1), annealing=1.0, phase="online")
            return jax.device_get(state), {name: float(average.total) for name, average in metrics.items()}

    return run


class NumpySAC:
    """Haarnoja et al. 2018, written from its formulas; derivatives come from the losses by complex steps."""

    def __init__(self, state):
        self.actor, self.log_temperature = as_numpy(state.actor.params), as_numpy(state.temperature.params)
        self.critics, self.targets = list(as_numpy(state.critics.params)), list(as_numpy(state.target_critics))
        self.actor_adam, self.temperature_adam = Adam(self.actor, RATE), Adam(self.log_temperature, RATE)
        self.critic_adams = [Adam(params, RATE) for params in self.critics]

    @staticmethod
    def sample(params, observations, noise):
        """Actions and their log-density, by the change of variables."""
        mean, raw = np.split(mlp(params, observations), 2, axis=-1)
        log_std = params["log_std_multiplier"] * raw + params["log_std_offset"]
        assert np.all((log_std.real > -20.0) & (log_std.real < 2.0))
        actions = np.tanh(mean + np.exp(log_std) * noise)
        gaussian = -0.5 * noise**2 - log_std - 0.5 * np.log(2.0 * np.pi)
        return actions, np.sum(gaussian - np.log(1.0 - actions**2), axis=-1)

    def update(self, b, draws):
        temperature = np.exp(self.log_temperature)
        next_actions, next_log_prob = self.sample(self.actor, b.next_observations, draws.next_actions)
        first, second = (critic(p, b.next_observations, next_actions) for p in self.targets)
        assert 0.0 < np.mean(first < second) < 1.0
        next_values = np.minimum(first, second)
        target = b.rewards + DISCOUNT * b.masks * (next_values - temperature * next_log_prob)

        def critic_loss(params):
            return np.mean((critic(params, b.observations, b.actions) - target) ** 2)

        metrics = {"critic/loss": sum(critic_loss(params) for params in self.critics)}
        self.critics = [
            adam.step(params, gradient(critic_loss, params))
            for adam, params in zip(self.critic_adams, self.critics, strict=True)
        ]

        def actor_loss(params):
            actions, log_prob = self.sample(params, b.observations, draws.actions)
            first, second = (critic(p, b.observations, actions) for p in self.critics)
            assert 0.0 < np.mean(first.real < second.real) < 1.0
            return np.mean(temperature * log_prob - np.where(first.real < second.real, first, second))

        metrics["actor/loss"], metrics["actor/temperature"] = actor_loss(self.actor), temperature
        log_prob = self.sample(self.actor, b.observations, draws.actions)[1]
        metrics["actor/entropy"] = -np.mean(log_prob)
        self.actor = self.actor_adam.step(self.actor, gradient(actor_loss, self.actor))
        # The target entropy is minus the number of action dimensions.
        self.log_temperature = self.temperature_adam.step(self.log_temperature, -np.mean(log_prob - 2.0))
        self.targets = [polyak(t, c, TAU) for t, c in zip(self.targets, self.critics, strict=True)]
        return metrics


def test_three_updates_agree_with_numpy(update):
    """To 1e-10: the reference's log(1 - a^2) loses digits where actions come close to 1."""
    state = make_state()
    reference = NumpySAC(state)
    for seed in range(3):
        batch, draws = make_batch(seed)
        state, metrics = update(state, batch, draws)
        for name, expected in reference.update(batch, draws).items():
            assert metrics[name] == pytest.approx(float(expected), rel=1e-10, abs=1e-10), name
        ours = (state.actor.params, state.critics.params, state.target_critics, state.temperature.params)
        theirs = (reference.actor, tuple(reference.critics), tuple(reference.targets), reference.log_temperature)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-10), ours, theirs)


@pytest.mark.parametrize(
    ("log_std", "move"),
    [
        # Entropy of two nearly linear dimensions: 2 * (1.419 - 5) = -7.2, below the target of -2: more noise.
        (-5.0, RATE),
        # Two squashed standard normals have an entropy of about 1.1, above the target: less.
        (0.0, -RATE),
    ],
)
def test_temperature_keeps_the_entropy_at_its_target(update, log_std, move):
    """The first Adam step is the rate, in the direction that brings the entropy to the target."""
    state = make_state()
    actor = jax.tree.map(np.zeros_like, state.actor.params) | {"log_std_offset": np.array(log_std)}
    after, metrics = update(with_params(state, actor=actor))
    assert (metrics["actor/entropy"] < -2.0) == (move > 0.0)
    assert after.temperature.params - state.temperature.params == pytest.approx(move, rel=1e-6)


def test_terminal_rows_regress_on_their_rewards(update):
    """With all masks 0 the targets are the rewards: the loss is sum_e E(Q_e - r)^2 for any next state."""
    state, batch = make_state(), BATCH._replace(masks=np.zeros(6))
    elsewhere = batch._replace(next_observations=batch.next_observations + 7.0)
    (here, metrics), (there, _) = update(state, batch), update(state, elsewhere)
    residuals = [critic(p, batch.observations, batch.actions) - batch.rewards for p in state.critics.params]
    assert metrics["critic/loss"] == pytest.approx(sum(np.mean(r**2) for r in residuals), rel=1e-12)
    jax.tree.map(np.testing.assert_array_equal, here.critics.params, there.critics.params)


def test_target_by_hand(update):
    """All networks constant: Q'_1 = 2, Q'_2 = 3, tanh(0 + 1 * 0) = 0 with log-density 2 * (-0.918939) = -1.837877.

    With temperature exp(-0.5) = 0.606531 the target is 1 + 0.9 * (2 + 0.606531 * 1.837877) = 3.803256 for a
    reward of 1; both critics say 0, so that the loss is 2 * 3.803256^2 = 28.929512.
    """
    state = make_state()
    actor, critics = (jax.tree.map(np.zeros_like, tree) for tree in (state.actor.params, state.critics.params))
    targets = tuple(
        params | {"layer2": {**params["layer2"], "bias": np.array([v])}}
        for params, v in zip(critics, (2.0, 3.0), strict=True)
    )
    state = with_params(state, actor=actor, critics=critics, target_critics=targets)
    batch = BATCH._replace(rewards=np.ones(6), masks=np.ones(6))
    _, metrics = update(state, batch, sac.SACDraws(*np.zeros((2, 6, 2))))
    assert metrics["critic/loss"] == pytest.approx(28.929512, abs=1e-4)


def test_acting():
    """Without a key the mode tanh(mean), with a key a sample whose noise the key determines."""
    params = as_numpy(make_state().actor.params)
    observations = np.random.default_rng(0).normal(size=(5, 2))
    with jax.enable_x64(True):
        act = jax.jit(ALGORITHM.act)
        mode, sample = act(params, observations, None), act(params, observations, jax.random.key(1))
        noise = np.asarray(jax.random.normal(jax.random.key(1), (5, 2)))
        again, other = (act(params, observations, jax.random.key(seed)) for seed in (1, 2))
    np.testing.assert_allclose(mode, np.tanh(mlp(params, observations)[:, :2]), atol=1e-12)
    np.testing.assert_allclose(sample, NumpySAC.sample(params, observations, noise)[0], atol=1e-12)
    np.testing.assert_array_equal(sample, again)
    assert not np.any(np.asarray(sample) == np.asarray(other))


def test_gradients_of_the_reference_are_not_trivial():
    """The gradients are far from zero; otherwise the agreement above would prove little."""
    reference = NumpySAC(make_state())
    loss = lambda p: np.mean(critic(p, BATCH.observations, BATCH.actions) ** 2)  # noqa: E731
    assert all(norm(gradient(loss, params)) > 0.01 for params in reference.critics)

"""Whole updates of ReBRAC against NumPy, and a problem whose values and actions are known."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import rebrac
from ssar_jax.coefficients.constant import constant
from ssar_jax.types import Batch
from tests.algorithms.rebrac.small_rebrac import SMALL, make_batch, make_state
from tests.algorithms.td3_bc.small_td3_bc import assert_close
from tests.networks.numpy_networks import Adam, as_numpy, gradient, mlp, norm, polyak


def normalized_mlp(params, inputs):
    """Linear, ReLU, LayerNorm with Flax's epsilon, ..., linear."""
    x = inputs
    for i in itertools.count():
        x = x @ params[f"layer{i}"]["kernel"] + params[f"layer{i}"]["bias"]
        if f"layer{i + 1}" not in params:
            return x
        x = np.where(x.real > 0.0, x, 0.0)
        centered = x - np.mean(x, axis=-1, keepdims=True)
        x = centered / np.sqrt(np.mean(centered**2, axis=-1, keepdims=True) + 1e-6)
        x = x * params[f"layernorm{i}"]["scale"] + params[f"layernorm{i}"]["bias"]


def critic(params, observations, actions):
    return normalized_mlp(params, np.concatenate([observations, actions], axis=-1))[..., 0]


class NumpyReBRAC:
    """The published algorithm, written from its formulas; derivatives come from the losses by complex steps."""

    def __init__(self, state, config, weight):
        self.config, self.weight = config, weight
        self.actor, self.target_actor = as_numpy(state.actor.params), as_numpy(state.target_actor)
        self.critics, self.targets = list(as_numpy(state.critics.params)), list(as_numpy(state.target_critics))
        self.actor_adam = Adam(self.actor, config.actor_learning_rate)
        self.critic_adams = [Adam(params, config.critic_learning_rate) for params in self.critics]

    def update(self, batch, noise, step, critic_weight):
        b, config = as_numpy(batch), self.config
        smoothing = np.clip(config.policy_noise * noise, -config.noise_clip, config.noise_clip)
        next_actions = np.clip(np.tanh(mlp(self.target_actor, b.next_observations)) + smoothing, -1.0, 1.0)
        first, second = (critic(p, b.next_observations, next_actions) for p in self.targets)
        assert 0.0 < np.mean(first < second) < 1.0
        distance = np.sum((next_actions - b.extras["next_actions"]) ** 2, axis=-1)
        penalty = critic_weight * np.nan_to_num(distance, nan=0.0)  # the last row has no next action
        target = b.rewards + config.discount * b.masks * (np.minimum(first, second) - penalty)

        def critic_loss(params):
            return np.mean((critic(params, b.observations, b.actions) - target) ** 2)

        metrics = {"critic/loss": sum(critic_loss(params) for params in self.critics)}
        metrics["critic/penalty"] = np.mean(penalty)
        for i, adam in enumerate(self.critic_adams):
            gradients = gradient(critic_loss, self.critics[i])
            metrics[f"critic/grad_norm_{i + 1}"] = norm(gradients)
            self.critics[i] = adam.step(self.critics[i], gradients)
        if step % config.policy_freq == 0:
            metrics |= self._delayed(b)
        return metrics

    def _delayed(self, b):
        first, second = (critic(p, b.observations, np.tanh(mlp(self.actor, b.observations))) for p in self.critics)
        assert 0.0 < np.mean(first < second) < 1.0
        smaller = first < second  # the gradient is that of the smaller one
        scale = 1.0 / np.mean(np.abs(np.minimum(first, second)))

        def loss(params):
            actions = np.tanh(mlp(params, b.observations))
            values = np.where(smaller, *(critic(p, b.observations, actions) for p in self.critics))
            return np.mean(self.weight * np.sum((actions - b.actions) ** 2, axis=-1) - scale * values)

        gradients = gradient(loss, self.actor)
        metrics = {"actor/loss": loss(self.actor), "actor/grad_norm": norm(gradients), "actor/q_scale": scale}
        self.targets = [polyak(t, c, self.config.tau) for t, c in zip(self.targets, self.critics, strict=True)]
        self.target_actor = polyak(self.target_actor, self.actor, self.config.tau)  # from before the actor's step
        self.actor = self.actor_adam.step(self.actor, gradients)
        return metrics


@pytest.mark.parametrize(("phase", "factor"), [("offline", 1.0), pytest.param("online", 0.5, marks=pytest.mark.slow)])
def test_four_updates_agree_with_numpy(phase, factor):
    """Losses, norms and all parameters in float64; online half of the critics' penalty is left."""
    state = make_state(seed=13)  # each critic is the smaller one somewhere, which the reference asserts
    config = SMALL._replace(online_critic_factor=0.5)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, state)
        reference = NumpyReBRAC(wide, config, weight=0.4)
        update = jax.jit(rebrac.rebrac(2, constant(0.4), config=config).update, static_argnames="phase")
        for step in range(1, 5):
            batch, noise = jax.tree.map(np.float64, make_batch(step, rows=24))
            wide, metrics = update(wide, batch, noise, step=step, annealing=1.0, phase=phase)
            expected_metrics = reference.update(batch, noise, step, critic_weight=0.3 * factor)
            for name, expected in expected_metrics.items():
                assert float(metrics[name].total) == pytest.approx(expected, abs=1e-12, rel=1e-12), name
            assert_close(tuple(reference.critics), wide.critics.params, atol=1e-12)
            assert_close(tuple(reference.targets), wide.target_critics, atol=1e-12)
            assert_close(reference.actor, wide.actor.params, atol=1e-12)
            assert_close(reference.target_actor, wide.target_actor, atol=1e-12)


@pytest.mark.slow
def test_learns_the_penalized_values_and_the_action_of_a_two_step_problem():
    """State 0 leads to state 1 with reward 0, state 1 ends with reward 1 - (a - 0.5)^2; discount 0.9.

    The best action in state 1 is 0.5, with Q(1, a) = 1 - (a - 0.5)^2. The dataset's next action is always -0.5, so with
    a critic penalty of 0.2 the value of state 0 is 0.9 * (1 - 0.2 * (0.5 - -0.5)^2) = 0.72. The data's actions are
    uniform on [-1, 1]: a large actor penalty pulls the actor to their mean, 0, instead.
    """
    config = rebrac.ReBRACConfig(
        discount=0.9,
        tau=0.05,
        critic_hidden_sizes=(32, 32),
        critic_layer_norm=False,
        critic_learning_rate=3e-3,
        critic_penalty=0.2,
        actor_hidden_sizes=(8,),
        actor_learning_rate=3e-3,
        policy_noise=0.0,
    )
    first = np.arange(64) % 2 == 0
    states = np.stack([first, ~first], axis=1).astype(np.float32)
    extras = {"next_actions": np.full((64, 1), -0.5, np.float32)}

    @jax.jit
    def train(beta):
        algorithm = rebrac.rebrac(1, constant(beta), config=config)

        def body(step, state):
            actions = jax.random.uniform(jax.random.key(step), (64, 1), minval=-1.0)
            rewards = jnp.where(first, 0.0, 1.0 - (actions[:, 0] - 0.5) ** 2)
            batch = Batch(states, actions, rewards, 1.0 * first, np.roll(states, 1, axis=1), np.ones(64), extras)
            return algorithm.update(state, batch, actions, step=step, annealing=1.0, phase="offline")[0]

        start = algorithm.init(jax.random.key(1), states, states[:, :1])
        state = jax.lax.fori_loop(1, 2000, body, start)
        return algorithm.act(algorithm.policy_params(state), np.eye(2), None), state.critics.params

    actions, critics = train(0.0)
    assert float(actions[1, 0]) == pytest.approx(0.5, abs=0.1)
    tried = np.array([[-0.5], [0.5]])
    for params in as_numpy(critics):
        ended = mlp(params, np.concatenate([[[0.0, 1.0]] * 2, tried], axis=1))[:, 0]
        np.testing.assert_allclose(ended, [0.0, 1.0], atol=0.05)  # 1 - (-0.5 - 0.5)^2 and 1
        before = mlp(params, np.concatenate([[[1.0, 0.0]] * 2, tried], axis=1))[:, 0]
        np.testing.assert_allclose(before, 0.72, atol=0.05)
    cloned, _ = train(100.0)
    np.testing.assert_allclose(cloned, 0.0, atol=0.1)

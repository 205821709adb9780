"""Whole updates of TD3+BC against NumPy, and a problem whose values and actions are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms import td3_bc
from ssar_jax.coefficients.constant import constant
from ssar_jax.types import Batch
from tests.algorithms.td3_bc.small_td3_bc import SMALL, assert_close, equal, make_batch, make_state
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, mlp, norm, polyak


class NumpyTD3BC:
    """The published algorithm, written from its formulas; derivatives come from the losses by complex steps."""

    def __init__(self, state, config, alpha):
        self.config, self.alpha = config, alpha
        self.actor, self.target_actor = as_numpy(state.actor.params), as_numpy(state.target_actor)
        self.critics, self.targets = list(as_numpy(state.critics.params)), list(as_numpy(state.target_critics))
        self.actor_adam = Adam(self.actor, config.actor_learning_rate)
        self.critic_adams = [Adam(params, config.critic_learning_rate) for params in self.critics]

    def update(self, batch, noise, step):
        b, config = as_numpy(batch), self.config
        smoothing = np.clip(config.policy_noise * noise, -config.noise_clip, config.noise_clip)
        next_actions = np.clip(np.tanh(mlp(self.target_actor, b.next_observations)) + smoothing, -1.0, 1.0)
        first, second = (critic(p, b.next_observations, next_actions) for p in self.targets)
        assert 0.0 < np.mean(first < second) < 1.0
        next_values = np.minimum(first, second)
        target = b.rewards + config.discount * b.masks * next_values

        def critic_loss(params):
            return np.mean((critic(params, b.observations, b.actions) - target) ** 2)

        metrics = {"critic/loss": sum(critic_loss(params) for params in self.critics)}
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
        scale = 1.0 / np.mean(np.abs(first))

        def published_loss(params):
            actions = np.tanh(mlp(params, b.observations))
            values = critic(self.critics[0], b.observations, actions)
            return -self.alpha * scale * np.mean(values) + np.mean((actions - b.actions) ** 2)

        gradients = gradient(published_loss, self.actor)
        # Ours is the published loss divided by alpha.
        metrics = {
            "actor/loss": published_loss(self.actor) / self.alpha,
            "actor/grad_norm": norm(gradients) / self.alpha,
            "actor/q_scale": scale,
        }
        gradients = jax.tree.map(lambda g: g / self.alpha, gradients)
        self.actor = self.actor_adam.step(self.actor, gradients)
        self.targets = [polyak(t, c, self.config.tau) for t, c in zip(self.targets, self.critics, strict=True)]
        self.target_actor = polyak(self.target_actor, self.actor, self.config.tau)
        return metrics


def test_four_updates_agree_with_numpy():
    """Critics without LayerNorm, which the authors' vectors do not have: losses, norms and all parameters."""
    state = make_state(seed=464)  # each critic is the smaller one somewhere, which the reference asserts
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64) if leaf.dtype == np.float32 else leaf, state)
        reference = NumpyTD3BC(wide, SMALL, alpha=2.5)
        update = jax.jit(td3_bc.td3_bc(2, constant(1.0 / 2.5), config=SMALL).update, static_argnames="phase")
        for step in range(1, 5):
            batch, noise = jax.tree.map(np.float64, make_batch(step))
            wide, metrics = update(wide, batch, noise, step=step, annealing=1.0, phase="offline")
            for name, expected in reference.update(batch, noise, step).items():
                assert float(metrics[name].total) == pytest.approx(expected, abs=1e-12, rel=1e-12), name
            assert_close(tuple(reference.critics), wide.critics.params, atol=1e-12)
            assert_close(tuple(reference.targets), wide.target_critics, atol=1e-12)
            assert_close(reference.actor, wide.actor.params, atol=1e-12)
            assert_close(reference.target_actor, wide.target_actor, atol=1e-12)


def test_learns_the_values_and_the_action_of_a_two_step_problem():
    """State 0 leads to state 1 with reward 0, state 1 ends with reward 1 - (a - 0.5)^2; discount 0.9.

    The best action in state 1 is 0.5, so that Q(1, a) = 1 - (a - 0.5)^2 and Q(0, a) = 0.9. The data's actions
    are uniform on [-1, 1]: a large coefficient pulls the actor to their mean, 0, instead.
    """
    config = td3_bc.TD3BCConfig(
        discount=0.9,
        tau=0.05,
        critic_hidden_sizes=(32, 32),
        critic_layer_norm=False,
        critic_learning_rate=3e-3,
        actor_hidden_sizes=(8,),
        actor_learning_rate=3e-3,
        policy_noise=0.0,
    )
    first = np.arange(64) % 2 == 0
    states = np.stack([first, ~first], axis=1).astype(np.float32)

    @jax.jit
    def train(beta):
        algorithm = td3_bc.td3_bc(1, constant(beta), config=config)

        def body(step, state):
            actions = jax.random.uniform(jax.random.key(step), (64, 1), minval=-1.0)
            rewards = jnp.where(first, 0.0, 1.0 - (actions[:, 0] - 0.5) ** 2)
            batch = Batch(states, actions, rewards, 1.0 * first, np.roll(states, 1, axis=1), np.ones(64))
            return algorithm.update(state, batch, actions, step=step, annealing=1.0, phase="offline")[0]

        start = algorithm.init(jax.random.key(1), states, states[:, :1])
        state = jax.lax.fori_loop(1, 1500, body, start)
        return algorithm.act(algorithm.policy_params(state), np.eye(2), None), state.critics.params, start

    actions, critics, start = train(0.0)
    assert equal([start.target_actor, start.target_critics], [start.actor.params, start.critics.params])
    assert float(actions[1, 0]) == pytest.approx(0.5, abs=0.1)
    for params in as_numpy(critics):
        tried = np.array([[-0.5], [0.5]])
        values = critic(params, np.array([[0.0, 1.0]] * 2), tried)
        np.testing.assert_allclose(values, [0.0, 1.0], atol=0.03)  # 1 - (-0.5 - 0.5)^2 and 1
        np.testing.assert_allclose(critic(params, np.array([[1.0, 0.0]] * 2), tried), 0.9, atol=0.03)
    cloned, *_ = train(100.0)
    np.testing.assert_allclose(cloned, 0.0, atol=0.1)

"""Whole updates of EDAC and SAC-N against NumPy."""

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import edac, sac
from tests.algorithms.edac.small_edac import SMALL, make_state, members, sample, slope, stack, unit
from tests.algorithms.td3_bc.small_td3_bc import assert_close, make_batch
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, norm, polyak


class NumpyEDAC:
    """The published algorithm, written from its formulas, pair by pair; derivatives are complex steps of the losses."""

    def __init__(self, state, config):
        self.config, self.log_alpha = config, float(state.temperature.params)
        self.actor = as_numpy(state.actor.params)
        self.critics, self.targets = members(state.critics.params), members(state.target_critics)
        self.actor_adam = Adam(self.actor, config.actor_learning_rate)
        self.alpha_adam = Adam(np.zeros(()), config.actor_learning_rate)
        self.critic_adams = [Adam(params, config.critic_learning_rate) for params in self.critics]

    def update(self, batch, draws):
        b, config, alpha = as_numpy(batch), self.config, np.exp(self.log_alpha)
        n = len(self.critics)

        next_actions, next_log_prob = sample(self.actor, b.next_observations, draws.next_actions)
        next_values = np.stack([critic(p, b.next_observations, next_actions) for p in self.targets])
        assert len(set(np.argmin(next_values, axis=0))) > 1  # more than one critic is the smallest somewhere
        target = b.rewards + config.discount * b.masks * (np.min(next_values, axis=0) - alpha * next_log_prob)

        def actor_loss(params):
            actions, log_prob = sample(params, b.observations, draws.actions)
            values = np.stack([critic(p, b.observations, actions) for p in self.critics])
            smallest = np.take_along_axis(values, np.argmin(values.real, axis=0)[None], axis=0)[0]
            return np.mean(alpha * log_prob - smallest)

        log_prob = sample(self.actor, b.observations, draws.actions)[1]
        alpha_gradient = -np.mean(log_prob - 2.0)  # the target entropy is -A = -2

        slopes = [unit(slope(params, b.observations, b.actions)) for params in self.critics]

        def critic_loss(i, params):
            """All terms of the loss with critic i; the other terms have no derivative in it."""
            squared_error = np.mean((critic(params, b.observations, b.actions) - target) ** 2)
            own = unit(slope(params, b.observations, b.actions))
            # Each pair is counted twice in the sum over i != j.
            pairs = sum(2.0 * np.mean(np.sum(own * slopes[j], axis=-1)) for j in range(n) if j != i)
            return squared_error + config.eta * pairs / (n - 1)

        similarity = sum(
            np.mean(np.sum(slopes[i] * slopes[j], axis=-1)) for i in range(n) for j in range(n) if i != j
        ) / (n - 1)
        errors = sum(np.mean((critic(p, b.observations, b.actions) - target) ** 2) for p in self.critics)
        actor_gradients = gradient(actor_loss, self.actor)
        critic_gradients = [gradient(lambda p, i=i: critic_loss(i, p), params) for i, params in enumerate(self.critics)]
        metrics = {
            "critic/loss": errors + config.eta * similarity,
            "critic/grad_norm": np.sqrt(sum(norm(g) ** 2 for g in critic_gradients)),
            "actor/loss": actor_loss(self.actor),
            "actor/grad_norm": norm(actor_gradients),
            "actor/temperature": alpha,
            "actor/temperature_loss": self.log_alpha * alpha_gradient,
        }
        if config.eta > 0.0:
            metrics["critic/slope_similarity"] = similarity

        self.actor = self.actor_adam.step(self.actor, actor_gradients)
        self.log_alpha = self.alpha_adam.step(self.log_alpha, alpha_gradient)
        for i, adam in enumerate(self.critic_adams):
            self.critics[i] = adam.step(self.critics[i], critic_gradients[i])
            self.targets[i] = polyak(self.targets[i], self.critics[i], config.tau)
        return metrics


@pytest.mark.parametrize("eta", [1.5, 0.0], ids=["edac", "sac_n"])
def test_three_updates_agree_with_numpy(eta):
    config = SMALL._replace(eta=eta)
    with jax.enable_x64(True):
        state = make_state(seed=330)  # several critics are the smallest somewhere, and few units are off
        reference = NumpyEDAC(state, config)
        update = jax.jit(edac.edac(2, config).update, static_argnames="phase")
        for step in range(1, 4):
            batch = jax.tree.map(np.float64, make_batch(step, rows=8)[0])
            rng = np.random.default_rng(100 + step)
            draws = sac.SACDraws(rng.normal(size=(8, 2)), rng.normal(size=(8, 2)))
            phase = "online" if step == 3 else "offline"
            state, metrics = update(state, batch, draws, step=step, annealing=1.0, phase=phase)
            for name, expected in reference.update(batch, draws).items():
                assert float(metrics[name].total) == pytest.approx(expected, abs=1e-12, rel=1e-11), name
            assert_close(stack(reference.critics), state.critics.params, atol=1e-12)
            assert_close(stack(reference.targets), state.target_critics, atol=1e-12)
            assert_close(reference.actor, state.actor.params, atol=1e-12)
            assert float(state.temperature.params) == pytest.approx(reference.log_alpha, abs=1e-12)

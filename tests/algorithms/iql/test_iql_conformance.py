"""IQL against independent programs.

The value functions against the authors' advantage selector, through the functions that train; the whole algorithm, in
both orders, against NumPy.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms.iql_values import advantages_of, make_value_networks, value_algorithm, value_step
from ssar_jax.types import Batch
from tests.algorithms.conformance import LIMITS, Vectors, assert_close, nested
from tests.algorithms.iql.small_iql import NUMBERS, PROGRAMS, VARIANTS, distance, make_state
from tests.algorithms.states import with_params
from tests.algorithms.td3_bc.small_td3_bc import assert_close as assert_trees_close
from tests.algorithms.td3_bc.small_td3_bc import make_batch
from tests.golden_vectors import golden_files
from tests.networks.numpy_networks import Adam, as_numpy, critic, gradient, mlp, polyak

COLUMNS = ("observations", "actions", "rewards", "next_observations", "terminals")


class UpdateVectors(Vectors):
    """A golden file whose calls are named updates and share one dataset."""

    def expected(self, call, name):
        return self._arrays.get(f"{self._expected}/update{call}/{name}")

    def expected_tree(self, call, net):
        prefix = f"{self._expected}/update{call}/{net}/"
        return nested({key: value for key, value in self._arrays.items() if key.startswith(prefix)}, prefix)

    def dataset(self):
        columns = {name: self.cast(f"dataset/{name}") for name in COLUMNS}
        masks = 1.0 - columns.pop("terminals")
        return Batch(**columns, masks=masks, trusted=jnp.ones_like(masks))

    def batch(self, call):
        rows = self._arrays[f"draws/update{call}/indices"]
        return jax.tree.map(lambda column: column[rows], self.dataset())

    def selection(self, name):
        return self._arrays[f"{self._expected}/selection/{name}"]


@pytest.fixture(params=[np.float32, np.float64], ids=["float32", "float64"])
def dtype(request):
    with jax.enable_x64(request.param == np.float64):
        yield request.param


def hidden_sizes(params):
    return tuple(params[f"layer{i}"]["bias"].shape[0] for i in range(len(params) - 1))


def build(vectors):
    """The networks and the numbers; the authors' program rounds two of them to float32, even in its float64 run."""
    h = vectors.hyper
    numbers = {
        "discount": float(np.float32(h("discount"))),
        "expectile": float(np.float32(h("iql_tau"))),
        "tau": h("tau"),
    }
    return make_value_networks(hidden_sizes(vectors.params("v")), h("lr")), numbers


def starting_state(vectors, algorithm):
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0), *vectors.dataset()[:2])
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    state = with_params(
        zeros,
        critics=(vectors.params("q1"), vectors.params("q2")),
        target_critics=(vectors.params("q1_target"), vectors.params("q2_target")),
        value=vectors.params("v"),
    )
    return jax.tree.map(lambda leaf: leaf.astype(vectors.dtype) if leaf.dtype.kind == "f" else leaf, state)


def programs(networks, algorithm, expectile):
    """One update with its intermediate values, and the labels; both compiled."""

    def update(state, batch):
        values, next_values = (
            networks.value(state.value.params, o) for o in (batch.observations, batch.next_observations)
        )
        targets = networks.critics.apply(state.target_critics, batch.observations, batch.actions)
        after, metrics = algorithm.update(state, batch, (), step=1, annealing=1.0, phase="offline")
        _, advantages, _ = value_step(networks, state, batch, expectile)
        return after, {
            "next_v": next_values,
            "value": values,
            "target_q": jnp.min(targets, axis=0),
            "advantages": advantages,
            "value_loss": metrics["value/loss"].total,
            "q_loss": metrics["critic/loss"].total,
        }

    def labels(state, dataset):
        values = networks.critics.apply(state.critics.params, dataset.observations, dataset.actions)
        advantages = advantages_of(networks, state, dataset.observations, dataset.actions)
        return {
            "q": jnp.min(values, axis=0),
            "v": networks.value(state.value.params, dataset.observations),
            "mask": (advantages >= 0.0).astype(dataset.masks.dtype),
        }, advantages

    return jax.jit(update), jax.jit(labels)


def check_state(vectors, call, state):
    for name, params in [("v", state.value.params), *zip(("q1", "q2"), state.critics.params, strict=True)]:
        vectors.check_tree(params, call, f"params/{name}")
    for name, params in zip(("q1_target", "q2_target"), state.target_critics, strict=True):
        vectors.check_tree(params, call, f"params/{name}")


def check_selection(vectors, labels, advantages):
    limit = LIMITS[vectors.dtype]
    for name in ("q", "v"):
        assert_close(labels[name], vectors.selection(name), limit, f"selection {name}")
    np.testing.assert_array_equal(labels["mask"], vectors.selection("mask"))
    if vectors.dtype == np.float64:
        assert_close(np.min(np.abs(advantages)), vectors.selection("min_margin"), limit, "selection min_margin")


@pytest.mark.conformance
@pytest.mark.parametrize("path", golden_files("iql_qv"), ids=lambda path: path.stem)
def test_agrees_with_the_authors(path, dtype):
    vectors = UpdateVectors(path, dtype)
    networks, numbers = build(vectors)
    algorithm = value_algorithm(networks, **numbers)
    update, label = programs(networks, algorithm, numbers["expectile"])
    state, calls = starting_state(vectors, algorithm), range(1, vectors.hyper("n_updates") + 1)
    for call in calls:
        batch = vectors.batch(call)
        state, values = update(state, batch)
        for name, value in values.items():
            vectors.check(value, call, name)
        target = vectors.expected(call, "target_q") - vectors.expected(call, "value")
        assert_close(values["advantages"], target, LIMITS[dtype], f"call {call} advantages")
        vectors.check(batch.rewards + numbers["discount"] * batch.masks * values["next_v"], call, "q_targets")
        check_state(vectors, call, state)
    check_selection(vectors, *label(state, vectors.dataset()))
    assert state.value.params["layer0"]["kernel"].dtype == dtype
    # Six values of each update, and all networks at least at the end.
    assert vectors.compared > 6 * len(calls)
    for name in ("v", "q1", "q2", "q1_target", "q2_target"):
        assert vectors.expected_tree(calls[-1], f"params/{name}"), name


class NumpyIQL:
    """Kostrikov et al. 2021, written from its equations; derivatives come from the losses by complex steps."""

    def __init__(self, state, config, updates):
        self.config, self.updates = config, updates
        values = as_numpy(state.values)
        self.critics, self.targets, self.value = values.critics.params, values.target_critics, values.value.params
        self.actor = as_numpy(state.actor.params)
        rate = config.learning_rate
        self.critics_adam, self.value_adam, self.actor_adam = (
            Adam(params, rate) for params in (self.critics, self.value, self.actor)
        )

    def update(self, b):
        config, official = self.config, self.config.order == "official"
        first, second = (critic(p, b.observations, b.actions) for p in self.targets)
        assert 0.0 < np.mean(first < second) < 1.0
        lowest = np.minimum(first, second)
        advantages, next_values = lowest - self.v(b.observations), self.v(b.next_observations)
        assert 0.0 < np.mean(advantages < 0.0) < 1.0

        def value_loss(params):
            u = lowest - mlp(params, b.observations)[:, 0]
            return np.mean(np.where(u.real < 0.0, 1.0 - config.expectile, config.expectile) * u**2)

        metrics = {"value/loss": value_loss(self.value)}
        self.value = self.value_adam.step(self.value, gradient(value_loss, self.value))
        if official:  # actor and Q see the new V
            advantages, next_values = lowest - self.v(b.observations), self.v(b.next_observations)
        target = b.rewards + config.discount * b.masks * next_values

        def critic_loss(both):
            total = sum(np.mean((critic(p, b.observations, b.actions) - target) ** 2) for p in both)
            return total if official else total / 2.0

        metrics["critic/loss"] = critic_loss(self.critics)
        self.critics = self.critics_adam.step(self.critics, gradient(critic_loss, self.critics))
        self.targets = polyak(self.targets, self.critics, config.tau)
        weights = np.minimum(np.exp(config.temperature * advantages), 100.0)

        def actor_loss(params):
            return np.mean(weights * distance(params, b, config.deterministic))

        metrics |= {"actor/loss": actor_loss(self.actor), "actor/weight_mean": np.mean(weights)}
        step = self.actor_adam.step(self.actor, gradient(actor_loss, self.actor))
        progress = self.updates / config.actor_decay_steps
        factor = 0.5 * (1.0 + np.cos(np.pi * progress)) if config.actor_schedule == "cosine" else 1.0
        self.actor = polyak(self.actor, step, factor)
        self.updates += 1
        return metrics

    def v(self, observations):
        return mlp(self.value, observations)[:, 0]


@pytest.mark.parametrize("name", VARIANTS)
def test_three_updates_agree_with_numpy(name):
    """Losses and all parameters, starting where the cosine, if any, is 0.854."""
    program = PROGRAMS[name]
    state, count = make_state(program.config), 250_000
    reference = NumpyIQL(state, program.config._replace(**NUMBERS), count)
    for seed in range(3):
        batch = jax.tree.map(np.float64, make_batch(seed)[0])
        state, metrics = program(state, batch, step=count + seed + 1)
        for name, expected in reference.update(batch).items():
            assert metrics[name] == pytest.approx(float(expected), rel=1e-11, abs=1e-11), name
        values = state.values
        ours = values.critics.params, values.target_critics, values.value.params, state.actor.params
        assert_trees_close(ours, (reference.critics, reference.targets, reference.value, reference.actor), atol=1e-11)

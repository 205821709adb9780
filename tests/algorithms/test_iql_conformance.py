"""IQL's value functions against the authors' advantage selector, through the functions that train."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.algorithms.iql_values import make_value_learner, update_values
from ssar_jax.types import Batch
from tests.algorithms.conformance import LIMITS, Vectors, assert_close, nested
from tests.golden_vectors import golden_files

COLUMNS = ("observations", "actions", "rewards", "next_observations", "terminals")


class UpdateVectors(Vectors):
    """A golden file whose calls are named updates and that holds one dataset for all of them."""

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
    """The authors' program rounds two constants to float32, even in its float64 run."""
    h = vectors.hyper
    return make_value_learner(
        hidden_sizes=hidden_sizes(vectors.params("v")),
        learning_rate=h("lr"),
        discount=float(np.float32(h("discount"))),
        expectile=float(np.float32(h("iql_tau"))),
        tau=h("tau"),
    )


def starting_state(vectors, learner):
    shapes = jax.eval_shape(learner.init, jax.random.key(0), *vectors.dataset()[:2])
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    state = zeros._replace(
        critics=(vectors.params("q1"), vectors.params("q2")),
        target_critics=(vectors.params("q1_target"), vectors.params("q2_target")),
        value=vectors.params("v"),
    )
    return jax.tree.map(lambda leaf: leaf.astype(vectors.dtype) if leaf.dtype.kind == "f" else leaf, state)


def programs(learner):
    """One update with what it computes on the way, and the labels; both compiled."""

    def update(state, batch):
        values, next_values = (learner.value(state.value, o) for o in (batch.observations, batch.next_observations))
        targets = learner.critics.apply(state.target_critics, batch.observations, batch.actions)
        after, advantages, metrics = update_values(learner, state, batch)
        return after, {
            "next_v": next_values,
            "value": values,
            "target_q": jnp.min(targets, axis=0),
            "advantages": advantages,
            "value_loss": metrics["value/loss"],
            "q_loss": metrics["critic/loss"],
        }

    def labels(state, dataset):
        values = learner.critics.apply(state.critics, dataset.observations, dataset.actions)
        advantages = learner.advantages(state, dataset.observations, dataset.actions)
        return {
            "q": jnp.min(values, axis=0),
            "v": learner.value(state.value, dataset.observations),
            "mask": (advantages >= 0.0).astype(dataset.masks.dtype),
        }, advantages

    return jax.jit(update), jax.jit(labels)


def check_state(vectors, call, state):
    for name, params in [("v", state.value), *zip(("q1", "q2"), state.critics, strict=True)]:
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
    learner = build(vectors)
    update, label = programs(learner)
    state, calls = starting_state(vectors, learner), range(1, vectors.hyper("n_updates") + 1)
    for call in calls:
        batch = vectors.batch(call)
        state, values = update(state, batch)
        for name, value in values.items():
            vectors.check(value, call, name)
        target = vectors.expected(call, "target_q") - vectors.expected(call, "value")
        assert_close(values["advantages"], target, LIMITS[dtype], f"call {call} advantages")
        discount = float(np.float32(vectors.hyper("discount")))
        vectors.check(batch.rewards + discount * batch.masks * values["next_v"], call, "q_targets")
        check_state(vectors, call, state)
    check_selection(vectors, *label(state, vectors.dataset()))
    assert state.value["layer0"]["kernel"].dtype == dtype
    # Six values of each update; in float64 the parameters, six leaves or more of five networks, at the end alone.
    assert vectors.compared >= 6 * len(calls) + 5 * 6 * (len(calls) if dtype == np.float32 else 1)

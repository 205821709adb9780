"""The compiled loop: its random numbers, its metrics, its compilations and its memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.training import loop
from ssar_jax.training.layout import Layout, choose_layout, seed_keys
from ssar_jax.training.trainer import OfflineTrainer
from ssar_jax.types import Average
from tests.training import recorder as recorder_module


def train(algorithm, data, chunks, seeds=(0,), **options):
    """Trains in chunks of these lengths; returns the states."""
    trainer = OfflineTrainer(algorithm, data, seeds=seeds, batch_size=4, **options)
    for length in chunks:
        trainer.advance(length)
    return trainer.states()


def assert_same(first, second):
    """All leaves are equal bit for bit, NaN included, and of one type."""
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.tobytes() == b.tobytes()


def of_seed(states, index):
    return jax.tree.map(lambda leaf: leaf[index : index + 1], states)


def test_the_lengths_of_the_chunks_do_not_matter(recorder, rows):
    """10 = 3 + 7 = 10."""
    whole = train(recorder, rows, [10])
    assert_same(train(recorder, rows, [3, 7]), whole)
    assert whole.rows[0, :10].min() >= 0.0  # ten updates happened
    assert (whole.rows[0, 10:] == -1.0).all()  # and no more


def test_no_two_updates_share_rows_or_draws(recorder, rows):
    states = train(recorder, rows, [10])
    assert len(np.unique(states.rows[0, :10], axis=0)) == 10
    assert len(np.unique(states.draws[0, :10])) == 10 * 4 * 2


def test_minibatches_are_uniform_with_replacement(rows):
    """12 x 500 rows out of 20: 300 of each, standard deviation sqrt(6000 * 0.05 * 0.95) = 17."""
    states = train_with_batch_size(500, rows)
    counts = np.bincount(states.rows[0].astype(int).ravel(), minlength=20)
    assert counts.sum() == 6000
    assert np.abs(counts - 300).max() < 5 * 17


def train_with_batch_size(batch_size, rows):
    trainer = OfflineTrainer(recorder_module.make(batch_size), rows, batch_size=batch_size)
    trainer.advance(recorder_module.CAPACITY)
    return trainer.states()


@pytest.mark.parametrize("vmapped", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_seed_does_not_depend_on_the_others(recorder, rows, vmapped):
    """Seeds 5, 6 and 9 together, each alone, and seed 6 together with another."""
    together = train(recorder, rows, [10], (5, 6, 9), layout=choose_layout(3, vmapped))
    for index, seed in enumerate((5, 6, 9)):
        alone = train(recorder, rows, [10], (seed,))
        assert_same(of_seed(together, index)._replace(weight=None), alone._replace(weight=None))
        np.testing.assert_allclose(together.weight[index], alone.weight[0], rtol=1e-6)
    pair = train(recorder, rows, [10], (2, 6), layout=choose_layout(2, vmapped))
    assert_same(of_seed(pair, 1)._replace(weight=None), of_seed(together, 1)._replace(weight=None))


def test_the_keys_of_a_seed_are_its_own():
    """Initialization, updates and actions draw from different keys, different for every seed."""
    keys = [jax.random.key_data(key).tolist() for seed in range(4) for key in seed_keys(seed)]
    assert len(set(map(tuple, keys))) == 12


def test_metrics_are_means_over_the_chunk(recorder, rows):
    """Updates 1 to 7: (1 + ... + 7) / 7 = 4, delayed (3 + 6) / 2 = 4.5; updates 8 to 10: 9 and 9 / 1."""
    trainer = OfflineTrainer(recorder, rows, seeds=(0, 1), batch_size=4)
    metrics = trainer.advance(7)
    np.testing.assert_array_equal(metrics["every/step"], [4.0, 4.0])
    np.testing.assert_array_equal(metrics["delayed/step"], [4.5, 4.5])
    np.testing.assert_array_equal(metrics["never/step"], [np.nan, np.nan])
    metrics = trainer.advance(3)
    np.testing.assert_array_equal(metrics["every/step"], [9.0, 9.0])
    np.testing.assert_array_equal(metrics["delayed/step"], [9.0, 9.0])
    metrics = trainer.advance(1)  # update 11 is no delayed one
    np.testing.assert_array_equal(metrics["every/step"], [11.0, 11.0])
    np.testing.assert_array_equal(metrics["delayed/step"], [np.nan, np.nan])


@pytest.mark.parametrize("metric", [jnp.float32(1.0), Average(jnp.ones(4), jnp.ones(4))])
def test_a_metric_that_is_no_average_is_named(recorder, rows, metric):
    """A scalar as it is, and one value for each row of the minibatch."""

    def update(state, batch, draws, **context):
        return state, {"actor/loss": metric}

    trainer = OfflineTrainer(recorder._replace(update=update), rows, batch_size=4)
    with pytest.raises(TypeError, match="the metric 'actor/loss' must be an Average of scalars"):
        trainer.advance(1)


@pytest.mark.parametrize("vmapped", [False, True])
def test_the_first_chunk_compiles_and_no_later_one(recorder, rows, vmapped):
    """Counted as Python calls of `update`: compiled code makes none."""
    calls = []

    def update(*arguments, **options):
        calls.append(options["phase"])
        return recorder.update(*arguments, **options)

    counted = recorder._replace(update=update)
    trainer = OfflineTrainer(counted, rows, seeds=(0, 1), batch_size=4, layout=choose_layout(2, vmapped))
    trainer.advance(3)
    traces = len(calls)
    assert traces > 0
    trainer.advance(3)
    trainer.advance(5)
    trainer.load(trainer.states(), 6)
    trainer.advance(1)
    assert len(calls) == traces


def test_states_are_donated(recorder, rows):
    """No second copy of the parameters lives during training."""
    layout = choose_layout(2)
    data = loop.place_data(rows.transitions, np.ones(20, np.float32), (0, 1), layout)
    chunk = loop.make_chunk(recorder, (0, 1), layout, batch_size=4, phase="offline")
    states = loop.initial_states(recorder, (0, 1), layout, 3, 2)
    new_states, _ = chunk(states, data, 0, 2)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(states))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((new_states, data)))


def test_abstract_states_tell_the_shapes_of_states(recorder):
    layout = choose_layout(2)
    states = loop.initial_states(recorder, (0, 1), layout, 3, 2)
    abstract = loop.abstract_states(recorder, 2, 3, 2)
    assert jax.tree.structure(states) == jax.tree.structure(abstract)
    for leaf, shape in zip(jax.tree.leaves(states), jax.tree.leaves(abstract), strict=True):
        assert (leaf.shape, leaf.dtype) == (shape.shape, shape.dtype)


@pytest.mark.parametrize(("num_seeds", "devices", "rows"), [(1, 1, 1), (3, 2, 4), (4, 2, 4), (5, 4, 8)])
def test_seeds_fill_all_devices(num_seeds, devices, rows):
    """3 seeds on 2 devices take 2 rows each, 5 on 4 take 8."""

    class FakeMesh:
        size = devices

    assert Layout(FakeMesh(), vmapped=False).rows(num_seeds) == rows


def test_a_cpu_loops_over_the_seeds_of_a_device():
    assert jax.default_backend() == "cpu"
    layout = choose_layout(3)
    assert (layout.mesh.size, layout.mesh.axis_names, layout.vmapped) == (1, ("seeds",), False)
    assert choose_layout(3, vmapped=True).vmapped

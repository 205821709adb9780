"""Offline training from Python: invalid arguments, selections, reloading, policies and diagnostics."""

import gymnasium
import jax
import numpy as np
import pytest

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import ObservationScaling, prepare
from ssar_jax.envs.actions import ActionBounds
from ssar_jax.training.trainer import OfflineTrainer, make_policy
from tests.data.helpers import user_error


def trainer_of(recorder, rows, **options):
    return OfflineTrainer(recorder, rows, batch_size=4, **options)


@pytest.mark.parametrize("seeds", [(), (1, 1), (0, 3, 0)])
def test_seeds_must_be_distinct_and_at_least_one(recorder, rows, seeds):
    with user_error(f"seeds must be distinct and at least one, not {list(seeds)}"):
        trainer_of(recorder, rows, seeds=seeds)


@pytest.mark.parametrize("shape", [(19,), (2, 21)])
def test_a_selection_must_have_the_datasets_length(recorder, rows, shape):
    with user_error(f"the selection has {shape[-1]} rows, the dataset 20"):
        trainer_of(recorder, rows, seeds=(0, 1), trusted=np.ones(shape, np.float32))


@pytest.mark.parametrize("per_seed", [False, True])
def test_every_minibatch_carries_the_flags_of_its_rows(recorder, rows, per_seed):
    """Rows are recorded by number, so `trusted` must be the selection at these numbers, each seed's own."""
    flags = np.stack([np.arange(20) % 2, np.arange(20) % 3 == 0]).astype(np.float32)
    trainer = trainer_of(recorder, rows, seeds=(7, 8), trusted=flags if per_seed else flags[0])
    trainer.advance(5)
    states = trainer.states()
    for s in range(2):
        seen = states.rows[s, :5].astype(int)
        np.testing.assert_array_equal(states.trusted[s, :5], flags[s if per_seed else 0][seen])


def test_without_a_selection_all_rows_are_trusted(recorder, rows):
    trainer = trainer_of(recorder, rows)
    trainer.advance(5)
    assert (trainer.states().trusted[0, :5] == 1.0).all()


def test_loaded_states_continue_bit_for_bit(recorder, rows):
    """4 updates, then 6 more in another trainer, equal 10 in one call."""
    whole, first, second = (trainer_of(recorder, rows, seeds=(0, 1)) for _ in range(3))
    whole.advance(10)
    first.advance(4)
    second.load(first.states(), first.step)
    second.advance(6)
    assert (first.step, second.step) == (4, 10)
    jax.tree.map(np.testing.assert_array_equal, second.states(), whole.states())


def test_states_taken_before_an_update_survive_it(recorder, rows):
    """The buffers on the device are donated; states returned before must not change."""
    trainer = trainer_of(recorder, rows)
    trainer.advance(1)
    states = trainer.states()
    copies = jax.tree.map(np.copy, states)
    trainer.advance(3)
    jax.tree.map(np.testing.assert_array_equal, states, copies)


def test_diagnostics_are_those_of_each_seed_at_the_rows(recorder, rows):
    """The recorder's diagnostic is its initial draw times the number of the row."""
    trainer = trainer_of(recorder, rows, seeds=(0, 1, 2))
    initial = trainer.states().initial
    ((name, values),) = trainer.diagnose(np.array([0, 7, 19])).items()
    assert (name, values.shape) == ("product", (3, 3))
    np.testing.assert_allclose(values, initial[:, None] * [0.0, 7.0, 19.0], rtol=1e-6)


def test_policies_are_those_of_each_seed(recorder, rows):
    """tanh(w s) for the first two of three observations; leading axes pass through."""
    trainer = trainer_of(recorder, rows, seeds=(4, 5))
    weights = trainer.policies()
    assert weights.shape == (2,)
    observations = np.array([[0.5, -1.0, 9.0], [0.0, 2.0, 9.0]])
    for index, seed in enumerate((4, 5)):
        expected = np.tanh(weights[index] * observations[:, :2])
        policy = trainer.policy(seed)
        np.testing.assert_allclose(policy(observations), expected, rtol=1e-5)
        np.testing.assert_allclose(policy(observations[0]), expected[0], rtol=1e-5)
        np.testing.assert_allclose(policy(observations[None]), expected[None], rtol=1e-5)
    size = observations.shape[-1]
    with user_error(f"the policy takes observations [..., {size}], not (2, {size + 1})"):
        policy(np.zeros((2, size + 1)))
    with user_error("seed 6 was not trained: choose one of [4, 5]"):
        trainer.policy(6)


def test_policies_take_raw_observations_and_give_the_environments_actions(recorder):
    """Observation 3 is (3 - 1) / 2 = 1, the action tanh(0.5), and in [0, 10] that is 5 + 5 tanh(0.5)."""
    scaling = ObservationScaling(np.float32([1.0, 1.0, 1.0]), np.float32([2.0, 2.0, 2.0]))
    bounds = ActionScaling.from_bounds(0.0, 10.0)
    action = make_policy(recorder, np.float32(0.5), scaling, bounds)(np.array([3.0, 1.0, 0.0]))
    np.testing.assert_allclose(action, [5.0 + 5.0 * np.tanh(0.5), 5.0], rtol=1e-6)


def test_policies_stay_inside_the_bounds_in_the_environments_type(recorder):
    """0.1 is no float32 number, and the nearest one is larger."""
    scaling, bounds = ObservationScaling.identity(3), ActionScaling.from_bounds(-0.1, 0.1)
    far = np.array([99.0, 0.0, 0.0])  # tanh is 1
    for dtype in (np.float32, np.float64):
        space = gymnasium.spaces.Box(-0.1, 0.1, (2,), dtype)
        exact = ActionBounds.from_space(space)
        for action_bounds in (None, exact):
            policy = make_policy(recorder, np.float32(1.0), scaling, bounds, action_bounds)
            assert space.contains(policy(far))
            assert space.contains(policy(-far))
        assert policy(far).dtype == dtype


def test_the_trainers_policy_scales_observations_as_the_data_were(recorder):
    dataset = OfflineDataset.from_arrays(
        observations=[[0.0, 0.0], [4.0, 0.0]],
        actions=np.zeros((2, 2)),
        rewards=[0.0, 0.0],
        masks=[1.0, 1.0],
        next_observations=[[4.0, 0.0], [0.0, 0.0]],
    )
    trainer = trainer_of(recorder, prepare(dataset))
    # Mean 2, standard deviation 2 + 1e-3: observation 3 becomes 1 / 2.001.
    weight = trainer.policies()[0]
    np.testing.assert_allclose(trainer.policy(0)(np.array([3.0, 0.0])), [np.tanh(weight / 2.001), 0.0], rtol=1e-5)
    # The same weight, with actions in [0, 10].
    trainer = trainer_of(recorder, prepare(dataset), action_scaling=ActionScaling.from_bounds(0.0, 10.0))
    expected = [5.0 + 5.0 * np.tanh(weight / 2.001), 5.0]
    np.testing.assert_allclose(trainer.policy(0)(np.array([3.0, 0.0])), expected, rtol=1e-5)


def test_a_selection_per_seed_must_have_all_seeds(recorder, rows):
    with user_error("the selection has shape (2, 20): give [N] for all seeds or [S, N] for 3 seeds"):
        trainer_of(recorder, rows, seeds=(0, 1, 2), trusted=np.ones((2, 20), np.float32))

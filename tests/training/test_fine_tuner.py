"""The online phase from Python: what is stored and drawn, when updates happen, and resuming bit for bit."""

import jax
import numpy as np
import pytest

from ssar_jax.training.fine_tuner import fine_tune
from ssar_jax.training.layout import choose_layout
from tests.data.helpers import user_error
from tests.envs.user_env import UserEnv
from tests.training import small_sa
from tests.training.scripted_env import Scripted
from tests.training.small_tuner import fine_tuner, make_dataset, make_diary


@pytest.fixture(scope="module")
def dataset():
    return make_dataset()


def test_no_update_during_the_warm_up_and_one_per_step_after_it(dataset):
    """After 3 steps of warm-up come updates 101, 102, ... of the run, which are 1, 2, ... of the online phase."""
    tuner = fine_tuner(dataset, annealing=lambda number: 1.0 - number / 100.0)
    before = tuner.states()
    assert np.isnan(tuner.advance(3)["diary/step"]).all()
    jax.tree.map(np.testing.assert_array_equal, tuner.states(), before)
    metrics = tuner.advance(4)
    states = tuner.states()
    assert (tuner.steps, tuner.updates, states["count"][0]) == (7, 4, 4)
    np.testing.assert_array_equal(states["steps"][0, :4], [101, 102, 103, 104])
    np.testing.assert_allclose(states["factors"][0, :4], [0.99, 0.98, 0.97, 0.96], rtol=1e-6)
    assert metrics["diary/step"][0] == pytest.approx(102.5)
    assert metrics["online/annealing"][0] == pytest.approx(0.975)


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"updates_per_step": 3}, [0, 0, 0, 3, 6, 9, 12]),
        ({"steps_between_updates": 2}, [0, 0, 0, 0, 2, 2, 4]),
        ({"steps_between_updates": 2, "updates_per_step": 2}, [0, 0, 0, 0, 4, 4, 8]),
        ({"warmup_steps": 0}, [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_updates_per_step_and_blocks(dataset, options, counts):
    tuner = fine_tuner(dataset, **options)
    done = []
    for _ in range(7):
        tuner.advance(1)
        done.append(int(tuner.states()["count"][0]))
    assert done == counts
    assert tuner.updates == counts[-1]


def drawn(tuner):
    return tuner.states()["rewards"][:, : tuner.updates]


def test_what_is_stored_is_what_happened(dataset):
    """The reward is the action, 0.5 w, and w does not change without updates, so all stored rewards are 0.5 w."""
    tuner = fine_tuner(dataset, mode="none", warmup_steps=9)
    weight = tuner.states()["weight"][0]
    metrics = tuner.advance(10)
    np.testing.assert_allclose(drawn(tuner)[0], 0.5 * weight, rtol=1e-6)
    assert metrics["online/batch_share"][0] == 1.0


@pytest.mark.slow
def test_modes_differ_in_what_the_batches_hold(dataset):
    """Trajectory sums are -6 and -15: `part` with k = 1 keeps the rewards -1, -2 and -3."""
    rows = {mode: fine_tuner(dataset, mode=mode, batch_size=64) for mode in ("all", "part", "none", "half")}
    shares = {}
    for mode, tuner in rows.items():
        shares[mode] = tuner.advance(6)["online/batch_share"][0]
        offline = sorted(set(drawn(tuner)[drawn(tuner) < 0]))
        expected = {"all": [-6, -5, -4, -3, -2, -1], "part": [-3, -2, -1], "none": []}
        assert offline == expected.get(mode, expected["all"]), mode
    assert (shares["half"], shares["none"]) == (0.5, 1.0)
    # After 4, 5 and 6 steps 4/10, 5/11 and 6/12 of the rows are online: 0.4515; with three rows kept 0.6165.
    assert shares["all"] == pytest.approx(0.4515, abs=5 * np.sqrt(0.25 / 192))
    assert shares["part"] == pytest.approx(0.6165, abs=5 * np.sqrt(0.25 / 192))


@pytest.mark.parametrize("vmapped", [False, True])
def test_a_seed_does_not_depend_on_the_others(dataset, vmapped):
    together = fine_tuner(dataset, seeds=(3, 5, 9), layout=choose_layout(3, vmapped))
    together.advance(12)
    for index, seed in enumerate((3, 5, 9)):
        alone = fine_tuner(dataset, seeds=(seed,))
        alone.advance(12)
        jax.tree.map(
            lambda a, b, i=index: np.testing.assert_allclose(a[i : i + 1], b, rtol=1e-6),
            together.states(), alone.states(),
        )  # fmt: skip
    assert (drawn(together)[0] != drawn(together)[1]).any()


def test_the_lengths_of_the_calls_do_not_matter(dataset):
    whole, parts = fine_tuner(dataset), fine_tuner(dataset)
    whole.advance(12)
    for steps in (1, 4, 7):
        parts.advance(steps)
    jax.tree.map(np.testing.assert_array_equal, parts.states(), whole.states())


@pytest.mark.parametrize("mode", ["all", *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("half", "none"))])
def test_a_saved_fine_tuner_continues_bit_for_bit(dataset, mode):
    """With the real TD3+BC(SA), in the middle of an episode and of a logging interval."""
    capacity = 6 if mode == "all" else 4  # fewer than the 17 steps: the rows themselves wrap
    options = {"seeds": (0, 1), "mode": mode, "algorithm": small_sa.make(1), "noise": 0.1, "capacity": capacity}
    whole, first, second = (fine_tuner(dataset, **options) for _ in range(3))
    whole.advance(9)
    first.advance(7)
    states, memory, envs = first.save()
    like = second.like_memory(7)
    jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype) or pytest.fail(f"{a}"), memory, like)
    second.load(states, memory, envs, 7)
    expected, metrics = whole.advance(8), second.advance(10)
    assert second.steps == whole.steps == 17
    jax.tree.map(np.testing.assert_array_equal, second.states(), whole.states())
    assert metrics.keys() == expected.keys()
    assert not np.array_equal(
        first.states().actor.params["layer0"]["kernel"], whole.states().actor.params["layer0"]["kernel"]
    )


def test_noise_moves_actions_within_their_range(dataset):
    """Without noise both rewards are the action 0.5 w; with a huge one they are at the bounds."""
    tuner = fine_tuner(dataset, mode="none", noise=1e6, warmup_steps=9)
    tuner.advance(12)
    assert set(np.abs(drawn(tuner)[0]).ravel()) == {1.0}
    assert len(set(drawn(tuner)[0].ravel())) == 2


def test_the_program_is_compiled_once(dataset):
    """Through warm-up, wrap and episode ends."""
    traces = []
    algorithm = make_diary(8)

    def update(*arguments, **options):
        traces.append(1)
        return algorithm.update(*arguments, **options)

    tuner = fine_tuner(dataset, algorithm=algorithm._replace(update=update), capacity=8)
    tuner.advance(4)
    count = len(traces)
    tuner.advance(10)
    assert len(traces) == count


def test_finished_episodes_are_reported(dataset):
    tuner = fine_tuner(dataset, warmup_steps=20, num_steps=20)
    weight = float(tuner.states()["weight"][0])
    tuner.advance(20)
    returns = tuner.finished_returns[0]
    assert returns  # episodes of 2 to 5 steps, each step paying 0.5 w
    lengths = np.array(returns) / (0.5 * weight)
    np.testing.assert_allclose(lengths, np.round(lengths), atol=1e-4)
    assert set(np.round(lengths)) <= {2, 3, 4, 5}


def test_more_steps_than_the_buffers_were_made_for_are_refused(dataset):
    with user_error("31 environment steps exceed num_steps=30: increase it"):
        fine_tuner(dataset).advance(31)


def test_an_environment_with_other_bounds_needs_a_scaling(dataset):
    with user_error("the environment's actions are between [-2.] and [2.]", "set action_scaling="):
        fine_tune(make_diary(4), None, make_env=lambda: Scripted(-2.0, 2.0), dataset=dataset)


def test_an_environment_that_cannot_be_used_is_refused(dataset):
    class OldStep(Scripted):
        def step(self, action):
            return super().step(action)[:4]

    with user_error("environment OldStep: step returned 4 values"):
        fine_tune(make_diary(4), None, make_env=OldStep, dataset=dataset)


def test_an_environment_of_other_sizes_is_refused(dataset):
    with user_error("environment UserEnv has observations (3,), the dataset (2,): choose another one"):
        fine_tune(make_diary(4), None, make_env=UserEnv, dataset=dataset)


def test_a_buffer_too_small_for_the_data_is_refused(dataset):
    with user_error("online.buffer_capacity=5 is less than the 6 offline transitions that online.buffer='all' keeps"):
        fine_tuner(dataset, capacity=5)

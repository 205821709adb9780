"""ReBRAC's next actions online, and a fine-tuning run that goes on where it was saved."""

import jax
import numpy as np
import pytest

from ssar_jax import ReBRACConfig, rebrac
from ssar_jax.coefficients.constant import constant
from tests.training.small_tuner import fine_tuner, make_dataset


@pytest.fixture(scope="module")
def algorithm():
    """Half of the critics' penalty is left online, where the published program has none."""
    config = ReBRACConfig(
        critic_hidden_sizes=(8,), actor_hidden_sizes=(8,), critic_penalty=0.1, online_critic_factor=0.5
    )
    return rebrac(1, constant(0.1), config)


def expected(rows, ended):
    """The actions of the next rows; an episode begins where the first observation is 0, the last one may be running."""
    found = np.full_like(rows.actions, np.nan)
    for s in range(len(found)):
        starts = np.flatnonzero(rows.observations[s, :, 0] == 0)
        stop = max(1, rows.actions.shape[1] if ended[s] else starts[-1])
        found[s, : stop - 1] = rows.actions[s, 1:stop]
        found[s, starts[1:] - 1] = np.nan
    return found


@pytest.mark.slow
def test_they_are_known_when_an_episode_has_ended_and_training_resumes_bit_for_bit(algorithm):
    """Two seeds with episodes of 2 to 5 steps; NaN in the last row of each and in the rows of the running one."""
    whole, again = (fine_tuner(make_dataset(), seeds=(3, 5), mode="half", algorithm=algorithm) for _ in range(2))
    for _ in range(10):
        penalty = whole.advance(1)["critic/penalty"]
        _, memory, _ = whole.save()
        ended = [bool(returns) for returns in whole.finished_returns]
        np.testing.assert_array_equal(memory.rows.extras["next_actions"], expected(memory.rows, ended))
    assert np.isfinite(memory.rows.extras["next_actions"]).any(axis=(1, 2)).all()
    assert (penalty > 0.0).all()
    again.load(*whole.save(), 10)
    for tuner in (whole, again):
        tuner.advance(6)
    for a, b in zip(jax.tree.leaves(again.save()[:2]), jax.tree.leaves(whole.save()[:2]), strict=True):
        np.testing.assert_array_equal(a, b)

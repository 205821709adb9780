"""The rows of metrics and evaluations that a run writes."""

import numpy as np
import pytest

from ssar_jax.data.tasks import custom_task, get_task
from ssar_jax.envs.rollout import StoppedError
from ssar_jax.logs.run_log import RunLog
from ssar_jax.runs.interruption import Interruption
from ssar_jax.runs.scores import add_evaluation, add_metrics, finish_or_save
from ssar_jax.training.evaluation import EvaluationResult

HOPPER = get_task("hopper-m")
UNSCALED = custom_task(11, 3, environment_id="Hopper-v5")


@pytest.fixture
def log(tmp_path):
    return RunLog(tmp_path, (), keep=-1)


def evaluation(*returns):
    """One row of returns per seed; the episodes of a seed have 10, 20, ... steps."""
    returns = np.array(returns, dtype=np.float64)
    lengths = np.broadcast_to(10 * np.arange(1, returns.shape[1] + 1), returns.shape)
    return EvaluationResult(returns=returns, lengths=lengths)


def test_metrics_make_one_row_per_seed(log):
    add_metrics(log, 100, (3, 4), {"critic/loss": np.float32([0.1, 0.2]), "x/rare": np.array([np.nan, 1.0])})
    assert log.rows("train") == [
        {"step": "100", "seed": "3", "critic/loss": "0.1", "x/rare": ""},
        {"step": "100", "seed": "4", "critic/loss": "0.2", "x/rare": "1.0"},
    ]


def test_evaluations_by_hand(log):
    """Returns 1000 and 2000: mean 1500, population standard deviation 500.

    Hopper's scale is 100 (R + 20.272305) / (3234.3 + 20.272305), so 1500 scores 46.712...
    """
    scores = add_evaluation(log, "offline", 50, (0, 1), HOPPER, evaluation([1000.0, 2000.0], [3234.3, 3234.3]))
    expected = 100.0 * (1500.0 + 20.272305) / (3234.3 + 20.272305)
    np.testing.assert_allclose(scores, [expected, 100.0])
    first, second = log.rows("eval")
    assert list(first) == [
        *("phase", "step", "seed", "return", "return_std", "score", "length", "episodes", "environment_steps")
    ]
    assert (first["phase"], first["step"], first["seed"]) == ("offline", "50", "0")
    assert [float(first[name]) for name in ("return", "return_std", "length")] == [1500.0, 500.0, 15.0]
    assert float(first["score"]) == pytest.approx(expected)
    assert (first["episodes"], first["environment_steps"]) == ("2", "0")
    assert (second["seed"], float(second["score"])) == ("1", pytest.approx(100.0))


def test_a_task_without_reference_returns_has_returns_only(log):
    returned = add_evaluation(log, "offline", 0, (0,), UNSCALED, evaluation([1.0, 3.0]))
    np.testing.assert_array_equal(returned, [2.0])
    (row,) = log.rows("eval")
    assert (row["score"], row["return"]) == ("", "2.0")


def test_success_rates_have_a_column_only_where_they_are_reported(log):
    """Two of four episodes; an evaluation without reports leaves the cell empty."""
    played = evaluation([1.0, 2.0, 3.0, 4.0])
    add_evaluation(log, "offline", 0, (0,), UNSCALED, played)
    assert "success_rate" not in log.rows("eval")[0]
    successes = np.array([[1.0, 0.0, 0.0, 1.0]])
    add_evaluation(log, "offline", 50, (0,), UNSCALED, played._replace(successes=successes))
    assert log.rows("eval")[1]["success_rate"] == "0.5"


@pytest.mark.parametrize(("error", "finished"), [(None, True), (StoppedError(), False), (KeyError("speed"), None)])
def test_an_evaluation_that_does_not_finish_saves_the_run(error, finished, caplog):
    saved, interruption = [], Interruption()

    def evaluate():
        assert interruption.activity == "stopping the evaluation at update 50, which --resume repeats"
        if error is not None:
            raise error

    def run():
        return finish_or_save(evaluate, lambda: saved.append(1), interruption, "update 50")

    if finished is None:
        with pytest.raises(KeyError):
            run()
        assert "the evaluation at update 50 failed; the run is saved there" in caplog.text
    else:
        assert run() is finished
    assert len(saved) == (error is not None)

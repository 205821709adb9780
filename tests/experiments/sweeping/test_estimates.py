"""Estimates of sweeps: time from finished runs or from a matmul rate, and memory."""

import pytest

from experiments.sweeping import estimates
from experiments.sweeping.estimates import Estimator
from ssar_jax.algorithms import registry
from tests.data.helpers import user_error
from tests.experiments.sweeping.sweeps import Machine, begin, finish, plan

UPDATES = 20_000  # of TD3+BC's short preset
MEBI = 2**20


def per_update(run, observation_size=11, action_size=3):
    return registry.get_entry(run.config.algorithm).operations(run.config, observation_size, action_size)


@pytest.fixture
def matmul(monkeypatch):
    """Matrix products at 100 GFLOP/s on two devices together; returns the commands that measured them."""
    commands = []

    def ask(command, failure):
        commands.append(command)
        return [100.0, 2]

    monkeypatch.setattr(Machine, "ask", staticmethod(ask))
    return commands


def test_without_finished_runs_matrix_products_are_the_limit(tmp_path, matmul):
    """Five seeds on two devices are three on one of them, which does 50 GFLOP/s."""
    run, other = plan(tmp_path, "td3_bc,td3_bc:base", num_seeds=5)
    estimator = Estimator(tmp_path, Machine(cores=2))
    estimate = estimator(run)
    assert estimate.rate == (50e9, 2, True)
    assert estimate.seconds == pytest.approx(UPDATES * 3 * per_update(run) / 50e9)
    assert estimator(other).seconds == pytest.approx(UPDATES * 3 * per_update(other) / 50e9)
    assert len(matmul) == 1
    assert matmul[0][-1] == "5"


@pytest.mark.parametrize(
    ("share", "num_seeds", "seconds"),
    [
        ([0, 1], 4, 200.0),  # as before: 20,000 updates at 100 per second
        ([0], 4, 400.0),  # four seeds on one core, not two on each
        ([0, 1], 2, 100.0),
        ([0, 1, 2, 3], 4, 100.0),
        ([0, 1], 3, 200.0),  # two on the fuller core
    ],
)
def test_a_finished_run_gives_the_rate_of_others(tmp_path, matmul, share, num_seeds, seconds):
    """It had two seeds on each of its two cores."""
    finish(plan(tmp_path, num_seeds=4)[0])
    (run,) = plan(tmp_path, seed=10, num_seeds=num_seeds)
    estimate = Estimator(tmp_path, Machine(cores=len(share)))(run)
    assert estimate.seconds == pytest.approx(seconds)
    assert not estimate.rate.is_bound
    assert matmul == []


def test_on_an_accelerator_the_number_of_devices_stays_the_same(tmp_path, matmul):
    finish(plan(tmp_path, num_seeds=4)[0], device="1 x NVIDIA H100")
    (run,) = plan(tmp_path, seed=10, num_seeds=2)
    estimate = Estimator(tmp_path, Machine(cores=16))(run)
    assert (estimate.seconds, estimate.rate.devices) == (pytest.approx(100.0), 1)


def test_other_tasks_count_by_their_operations_and_the_same_task_is_preferred(tmp_path, matmul):
    hopper, cheetah = plan(tmp_path, tasks="hopper-m,halfcheetah-m", num_seeds=2)
    finish(hopper)
    expected = 200.0 * per_update(cheetah, 17, 6) / per_update(hopper)
    assert Estimator(tmp_path, Machine(cores=2))(cheetah).seconds == pytest.approx(expected)
    (earlier,) = plan(tmp_path, tasks="halfcheetah-m", seed=10, num_seeds=2)
    finish(earlier, updates_per_second=50.0)
    assert Estimator(tmp_path, Machine(cores=2))(cheetah).seconds == pytest.approx(400.0)


def test_the_median_of_several_counts_and_other_systems_do_not(tmp_path, matmul):
    for seed, rate in enumerate((10.0, 100.0, 5000.0)):
        finish(plan(tmp_path, seed=seed)[0], device="1 x cpu", updates_per_second=rate)
    finish(plan(tmp_path, seed=3)[0], device="1 x cpu", updates_per_second=None)  # nothing was left to train
    run, base = plan(tmp_path, "td3_bc,td3_bc:base", seed=10)
    estimator = Estimator(tmp_path, Machine())
    assert estimator(run).seconds == pytest.approx(200.0)
    assert estimator(base).rate.is_bound


def test_only_the_rest_of_a_started_run_counts(tmp_path, matmul):
    finish(plan(tmp_path, num_seeds=2)[0])
    (run,) = plan(tmp_path, seed=10, num_seeds=2)
    begin(run)
    (run.folder / "checkpoints" / "15000").mkdir(parents=True)
    assert Estimator(tmp_path, Machine(cores=2))(run).seconds == pytest.approx(50.0)


def test_online_updates_begin_after_the_warm_up(tmp_path, matmul):
    _, run = plan(tmp_path, phase="online")
    online = run.config.online
    assert (online.num_steps, online.warmup_steps) == (5000, 100)
    assert Estimator(tmp_path, Machine())(run).seconds == pytest.approx(4900 * per_update(run) / 50e9)
    finish(run, device="1 x cpu", steps_per_second=20.0)
    (_, again) = plan(tmp_path, phase="online", seed=10)
    assert Estimator(tmp_path, Machine())(again).seconds == pytest.approx(250.0)


def test_memory(tmp_path):
    """The short preset has 300,000 rows of 2 x 11 + 3 + 2 float32; states are three times in memory."""
    offline, online = plan(tmp_path, "td3_bc:base", phase="online", num_seeds=2)
    states = estimates.state_bytes(offline.config)
    dataset = 300_000 * 27 * 4
    expected = 700 * MEBI + (3 + 2) * dataset + 2 * 300_000 * 4 + 3 * states
    assert estimates.memory(offline.config, "offline", 2) == expected
    # The buffer `all` keeps every row once, and 5,000 new ones of each seed.
    assert online.config.online.buffer == "all"
    assert estimates.memory(online.config, "online", 2) == expected + dataset + 2 * 5000 * 27 * 4


def test_states_by_hand(tmp_path):
    """Base TD3+BC with one hidden layer of 8: networks, their targets and two moments of each in Adam, two counts."""
    overrides = [(f"{name}.hidden_sizes", "(8,)") for name in ("critic", "actor", "coefficient")]
    (run,) = plan(tmp_path, "td3_bc:base", num_seeds=3, overrides=overrides)
    actor = 11 * 8 + 8 + 8 * 3 + 3
    critic = 14 * 8 + 8 + 8 * 1 + 1
    assert estimates.state_bytes(run.config) == 3 * 4 * (4 * (actor + 2 * critic) + 2)


def test_data_at_a_path_are_as_large_as_their_files(tmp_path):
    for name in ("a.hdf5", "b.hdf5"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_bytes(bytes(5 * MEBI))
    overrides = (("dataset.path", str(tmp_path / "data")),)
    (run,) = plan(tmp_path / "runs", "td3_bc:base", overrides=overrides)
    states, rows = estimates.state_bytes(run.config), 10 * MEBI // (27 * 4)
    assert estimates.memory(run.config, "offline", 1) == 740 * MEBI + 4 * rows + 3 * states


def test_custom_data_have_no_estimate(tmp_path):
    (run,) = plan(tmp_path / "runs", tasks="custom", overrides=(("dataset.path", "my.hdf5"),))
    assert Estimator(tmp_path / "runs", Machine())(run) is None


def test_an_algorithm_without_an_operation_count_has_no_estimate(tmp_path, matmul, monkeypatch):
    """Neither as a planned run nor as a finished one for the estimates of others."""
    own, other = plan(tmp_path, "td3_bc,cql")
    finish(own)
    monkeypatch.setitem(registry._ENTRIES, "td3_bc", registry.get_entry("td3_bc")._replace(operations=None))
    estimator = Estimator(tmp_path, Machine())
    assert estimator(plan(tmp_path, "td3_bc", seed=10)[0]) is None
    assert estimator(other).rate.is_bound


def test_a_measurement_that_is_killed_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(estimates, "_MATMUL", "import os; os.kill(os.getpid(), 9)")
    with user_error("JAX cannot compute: killed by SIGKILL"):
        Estimator(tmp_path, Machine())(plan(tmp_path)[0])


def test_the_measured_rate_is_that_of_this_machine(tmp_path):
    """In a subprocess; no core is slower than 1 MFLOP/s or faster than 1 PFLOP/s."""
    (run,) = plan(tmp_path)
    rate = Estimator(tmp_path, Machine())(run).rate
    assert rate.devices == 1
    assert 1e6 < rate.value < 1e15

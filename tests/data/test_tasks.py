"""The task table and the names of embedded datasets."""

import numpy as np
import pytest

from ssar_jax.data.d4rl_files import D4RL_FILES
from ssar_jax.data.sources.embedded import default_num_steps, embedded_description, embedded_id
from ssar_jax.data.tasks import TASKS, custom_task, get_task
from tests.data.helpers import user_error


def test_there_are_eighteen_tasks_and_each_has_its_own_file() -> None:
    assert len({task.name for task in TASKS}) == 18
    assert {task.d4rl_name for task in TASKS} == set(D4RL_FILES)
    assert len({task.file.sha256 for task in TASKS}) == 18
    assert all(len(task.file.sha256) == 64 for task in TASKS)


@pytest.mark.parametrize(
    ("name", "sizes", "horizon", "environment"),
    [
        ("halfcheetah-mr", (17, 6), 1000, "halfcheetah"),
        ("hopper-m", (11, 3), 1000, "hopper"),
        ("walker2d-e", (17, 6), 1000, "walker2d"),
        ("antmaze-ud", (29, 8), 700, "antmaze-umaze"),
        ("antmaze-lp", (29, 8), 1000, "antmaze-large"),
    ],
)
def test_rows(name: str, sizes: tuple[int, int], horizon: int, environment: str) -> None:
    task = get_task(name)
    assert (task.observation_size, task.action_size) == sizes
    assert (task.horizon, task.environment) == (horizon, environment)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("hopper-medium-expert-v2", "hopper-me"),
        ("antmaze-large-diverse-v2", "antmaze-ld"),
        ("ssar-embedded/hopper/medium-v0", "hopper-m"),
        ("ssar-embedded/hopper/medium-replay-200000-v0", "hopper-mr"),
        ("ssar-embedded/antmaze/umaze-diverse-v0", "antmaze-ud"),
    ],
)
def test_other_names(name: str, found: str) -> None:
    assert get_task(name).name == found


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("hoper-m", ("unknown task 'hoper-m'", "hopper-m")),
        ("halfcheetah-medium-v0", ("halfcheetah-medium-v2",)),
        ("xyz", ("known: halfcheetah-m, ", "antmaze-ld, custom")),
        ("ssar-embedded/hopper/large-v0", ("unknown task",)),
        ("custom", ("custom_task",)),
        ("mujoco/hopper/medium-v0", ("task custom with --config.dataset.path=mujoco/hopper/medium-v0",)),
    ],
)
def test_unknown_names(name: str, parts: tuple[str, ...]) -> None:
    with user_error(*parts):
        get_task(name)


def test_scores() -> None:
    hopper = get_task("hopper-m")
    assert hopper.normalized_score(-20.272305) == 0.0
    assert hopper.normalized_score(3234.3) == 100.0
    # 100 (1000 + 20.272305) / (3234.3 + 20.272305) = 31.348891...
    assert hopper.normalized_score(1000.0) == pytest.approx(31.3488911, abs=1e-6)
    np.testing.assert_array_equal(get_task("antmaze-u").normalized_score(np.array([0.0, 1.0])), [0.0, 100.0])


def test_custom_task_has_no_scale_and_no_file() -> None:
    task = custom_task(4, 2, environment_id="Reacher-v5", horizon=50)
    assert (task.observation_size, task.action_size, task.horizon) == (4, 2, 50)
    assert task.environment == "Reacher-v5"
    assert task.file is None
    assert task.normalized_score(3.0) is None
    with user_error("horizon must be at least 1, not 0"):
        custom_task(4, 2, horizon=0)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_embedded_ids_lead_back_to_their_task(task) -> None:
    assert get_task(embedded_id(task)) is task
    assert get_task(embedded_id(task, 12_345)) is task


def test_embedded_ids_carry_the_size_unless_it_is_d4rls() -> None:
    hopper, mixed = get_task("hopper-m"), get_task("hopper-me")
    assert embedded_id(hopper) == embedded_id(hopper, 1_000_000) == "ssar-embedded/hopper/medium-v0"
    assert embedded_id(hopper, 200_000) == "ssar-embedded/hopper/medium-200000-v0"
    assert default_num_steps(mixed) == 2_000_000
    assert embedded_id(mixed, 2_000_000) == "ssar-embedded/hopper/medium-expert-v0"
    assert embedded_id(mixed, 1_000_000) == "ssar-embedded/hopper/medium-expert-1000000-v0"


def test_embedded_descriptions_say_first_what_they_are_not() -> None:
    assert embedded_description(get_task("hopper-m"), 1000).startswith("NOT D4RL")


def test_embedded_errors() -> None:
    with user_error("custom", "dataset.path"):
        embedded_id(custom_task(1, 1))
    with user_error("num_steps must be at least 1, not 0"):
        embedded_id(get_task("hopper-m"), 0)

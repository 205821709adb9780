"""Recipes: policies, numbers of transitions and their order, and the hash of a recipe."""

import dataclasses

import numpy as np
import pytest

from ssar_jax.behaviour import policies, recipes
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.behaviour.recipes import recipe_hash, segments
from ssar_jax.data.tasks import TASKS, get_task
from tests.data.helpers import user_error


def policy_named(value):
    """A policy that is recognized by its only bias."""
    return GaussianPolicy([(np.zeros((1, 2), np.float32), np.full(2, value, np.float32))], 1.0, -1.0)


def name_of(policy):
    return None if policy is None else float(policy.layers[0][1][0])


SHIPPED = {"hopper-medium": [1], "hopper-expert": [2], "hopper-replay": [8, 9, 3, 4, 5]}


@pytest.fixture
def shipped(monkeypatch):
    """Ships three files of policies; returns them to be changed."""
    files = {name: [policy_named(value) for value in values] for name, values in SHIPPED.items()}
    monkeypatch.setattr(policies, "load", lambda name: files[name])
    return files


def played(task, num_steps):
    return [(name_of(segment.policy), segment.num_steps) for segment in segments(get_task(task), num_steps)]


def test_one_policy_plays_medium_and_expert(shipped):
    assert played("hopper-m", 1001) == [(1, 1001)]
    assert played("hopper-e", 1001) == [(2, 1001)]


def test_medium_expert_is_half_of_each(shipped):
    assert played("hopper-me", 1000) == [(1, 500), (2, 500)]
    assert played("hopper-me", 1001) == [(1, 500), (2, 501)]


def test_medium_replay_is_uniform_actions_and_then_the_snapshots(shipped):
    """A two-hundredth of 1000 is 5; 995 for all snapshots but the first two end at 5 + 331.7, 663.3 and 995."""
    assert played("hopper-mr", 1000) == [(None, 5), (3, 332), (4, 331), (5, 332)]


@pytest.mark.parametrize("num_steps", [1, 7, 99, 12_345, 2_000_000])
def test_the_segments_add_up(shipped, num_steps):
    for task in ("hopper-m", "hopper-e", "hopper-me", "hopper-mr"):
        assert sum(steps for _, steps in played(task, num_steps)) == num_steps


def test_what_ships_plays_the_tasks_it_should():
    for agent in ("halfcheetah", "hopper", "walker2d"):
        task = get_task(f"{agent}-m")
        (segment,) = segments(task, 10)
        assert segment.policy.layers[0][0].shape[0] == task.observation_size
        assert segment.policy.layers[-1][0].shape[1] == 2 * task.action_size
        uniform, *snapshots = segments(get_task(f"{agent}-mr"), 1000)
        assert (uniform.policy, uniform.num_steps) == (None, 5)
        assert len({policy.layers[0][0].tobytes() for policy, _ in snapshots}) == len(snapshots) >= 4


def test_policies_that_do_not_ship_are_named(monkeypatch):
    task = dataclasses.replace(get_task("hopper-e"), agent="octopus")
    with user_error("no behavior policy 'octopus-expert' ships with this version", "hopper-medium"):
        segments(task, 10)


def test_the_hash_recognizes_a_recipe_and_nothing_else(shipped, monkeypatch):
    task = get_task("hopper-mr")
    original = recipe_hash(task, 1000, 0)
    assert recipe_hash(task, 1000, 0) == original
    others = {recipe_hash(task, 1001, 0), recipe_hash(task, 1000, 1), recipe_hash(get_task("hopper-m"), 1000, 0)}
    shipped["hopper-replay"].reverse()
    others.add(recipe_hash(task, 1000, 0))
    shipped["hopper-replay"].reverse()
    shipped["hopper-replay"][3] = policy_named(4.0001)
    others.add(recipe_hash(task, 1000, 0))
    for noise in ({"log_std_multiplier": 0.9}, {"log_std_offset": -0.9}):
        shipped["hopper-replay"][3] = dataclasses.replace(policy_named(4), **noise)
        others.add(recipe_hash(task, 1000, 0))
    shipped["hopper-replay"][3] = policy_named(4)
    monkeypatch.setattr(recipes.embedded, "SUITE", recipes.embedded.SUITE + 1)
    others.add(recipe_hash(task, 1000, 0))
    monkeypatch.undo()
    assert len(others) == 8
    assert original not in others


def test_another_simulator_makes_another_dataset(shipped, monkeypatch):
    original = recipe_hash(get_task("hopper-m"), 10, 0)
    monkeypatch.setattr(recipes.metadata, "version", lambda package: "9.9" if package == "mujoco" else "1")
    assert recipe_hash(get_task("hopper-m"), 10, 0) != original


def test_all_tasks_have_policies_that_ship_and_hashes_of_their_own():
    assert all(segments(task, 10) for task in TASKS)
    assert len({recipe_hash(task, 1000, 0) for task in TASKS}) == 18

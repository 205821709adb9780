"""Behavior policies: they are read back as stored, and act as the trained actor does."""

import json
import types
from importlib import resources
from itertools import pairwise

import jax
import numpy as np
import pytest

from ssar_jax.behaviour import policies
from ssar_jax.behaviour.policies import GaussianPolicy
from ssar_jax.behaviour.tiers import TIERS, Mark
from ssar_jax.behaviour.training_runs import NUM_SNAPSHOTS
from ssar_jax.errors import UserError
from ssar_jax.networks.actors import TanhGaussianActor

RNG = np.random.default_rng(0)


def make_policy(sizes, multiplier=1.0, offset=-1.0):
    """Random layers from each size to the next."""
    layers = [
        (RNG.normal(size=(i, o)).astype(np.float32), RNG.normal(size=o).astype(np.float32)) for i, o in pairwise(sizes)
    ]
    return GaussianPolicy(layers, multiplier, offset)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that replaces the one that ships."""
    monkeypatch.setattr(policies, "resources", types.SimpleNamespace(files=lambda package: tmp_path))
    (tmp_path / "trained").mkdir()
    return tmp_path / "trained"


def test_round_trip_in_float16(folder):
    """Weights come back as the float16 next to them; the two scalars stay float32."""
    stored = [make_policy((5, 4, 6), 0.7, -0.3), make_policy((5, 3, 3, 6), 1.1, 0.25)]
    policies.save(folder / "hopper-medium.npz", stored, {"steps": 7})
    loaded = policies.load("hopper-medium")
    assert len(loaded) == 2
    for before, after in zip(stored, loaded, strict=True):
        for old, new in zip(before.layers, after.layers, strict=True):
            for old_array, new_array in zip(old, new, strict=True):
                assert new_array.dtype == np.float32
                np.testing.assert_array_equal(new_array, old_array.astype(np.float16).astype(np.float32))
        scalars = (after.log_std_multiplier, after.log_std_offset)
        assert scalars == (np.float32(before.log_std_multiplier), np.float32(before.log_std_offset))
    with np.load(folder / "hopper-medium.npz", allow_pickle=False) as arrays:
        assert arrays["policy0/kernel0"].dtype == np.float16
        assert json.loads(str(arrays["description"])) == {"steps": 7}


def test_many_policies_keep_their_order(folder):
    """Eleven of them: policy10 must not come before policy2."""
    stored = [
        GaussianPolicy([(np.ones((1, 2), np.float32), np.zeros(2, np.float32))], float(p), 0.0) for p in range(11)
    ]
    policies.save(folder / "many.npz", stored, {})
    assert [policy.log_std_multiplier for policy in policies.load("many")] == list(range(11))


def test_plays_as_the_actor_it_was_taken_from():
    """The same noise, drawn from the same generator, gives the same actions to float32's rounding."""
    actor = TanhGaussianActor((7, 7), 3, output_gain=1.0)
    observations = RNG.normal(size=(20, 5)).astype(np.float32)
    params = jax.device_get(jax.jit(actor.init)(jax.random.key(0), observations)["params"])
    params["log_std_multiplier"], params["log_std_offset"] = np.float32(1.5), np.float32(-0.5)
    actions = GaussianPolicy.from_params(params).sample(observations, np.random.default_rng(3))
    noise = np.random.default_rng(3).standard_normal((20, 3), dtype=np.float32)
    expected, _ = jax.jit(lambda noise: actor.apply({"params": params}, observations).sample(noise))(noise)
    assert actions.dtype == np.float32
    np.testing.assert_allclose(actions, expected, atol=1e-6)


def test_sample_by_hand():
    """Hidden relu(0.5 * 2 + 1) = 2; mean 2 * 0.1 = 0.2, raw log-std 2 * 3 = 6, clipped to 2."""
    layers = [(np.float32([[2.0]]), np.float32([1.0])), (np.float32([[0.1, 3.0]]), np.float32([0.0, 0.0]))]
    actions = GaussianPolicy(layers, 1.0, 0.0).sample(np.full((50, 1), 0.5), np.random.default_rng(1))
    noise = np.random.default_rng(1).standard_normal((50, 1), dtype=np.float32)
    np.testing.assert_allclose(actions, np.tanh(0.2 + np.exp(2.0) * noise), atol=1e-5)


def test_the_most_likely_action_by_hand():
    """As above, without noise."""
    layers = [(np.float32([[2.0]]), np.float32([1.0])), (np.float32([[0.1, 3.0]]), np.float32([0.0, 0.0]))]
    actions = GaussianPolicy(layers, 1.0, 0.0).most_likely(np.full((4, 1), 0.5))
    np.testing.assert_allclose(actions, np.full((4, 1), np.tanh(0.2)), rtol=1e-6)


def test_unknown_name_lists_what_ships(folder):
    with pytest.raises(UserError, match=r"'ant-medium'.*none"):
        policies.load("ant-medium")
    for name in ("walker2d-expert", "hopper-medium"):
        policies.save(folder / f"{name}.npz", [make_policy((2, 2))], {})
    with pytest.raises(UserError) as error:
        policies.load("ant-medium")
    assert "'ant-medium'" in str(error.value)
    assert "hopper-medium, walker2d-expert" in str(error.value)


# What an environment observes and does, for the policies that ship.
SIZES = {"halfcheetah": (17, 6), "hopper": (11, 3), "walker2d": (17, 6)}


@pytest.mark.parametrize("agent", SIZES)
@pytest.mark.parametrize(("tier", "number"), [("medium", 1), ("expert", 1), ("replay", NUM_SNAPSHOTS)])
def test_shipped_policies_fit_their_environment(agent, tier, number):
    loaded = policies.load(f"{agent}-{tier}")
    assert len(loaded) == number
    for policy in loaded:
        kernels = [kernel for kernel, _ in policy.layers]
        assert (kernels[0].shape[0], kernels[-1].shape[1]) == (SIZES[agent][0], 2 * SIZES[agent][1])
        actions = policy.sample(np.zeros((3, SIZES[agent][0])), np.random.default_rng(0))
        assert actions.shape == (3, SIZES[agent][1])
        assert np.all(np.abs(actions) <= 1.0)
        assert np.all(np.isfinite(actions))


def test_what_ships_is_small():
    """The wheel carries all of it."""
    folder = resources.files("ssar_jax.behaviour") / "trained"
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 8e6


@pytest.mark.parametrize(("agent", "tier"), [key for key in TIERS if key[0] != "ant"])
def test_what_ships_belongs_to_its_tier(agent, tier):
    """By the examination that chose it, whose marks are stored beside the policy and stand in the README."""
    folder = resources.files("ssar_jax.behaviour") / "trained"
    with (folder / f"{agent}-{tier}.npz").open("rb") as stream, np.load(stream) as arrays:
        description = json.loads(str(arrays["description"]))
    description = {"return_max": 0.0} | description  # older files do not tell; only the hopper's tier asks
    assert Mark(*(description[name] for name in Mark._fields)).is_in(TIERS[agent, tier])
    row = f"| {description['return_mean']:.0f} ± {description['return_std']:.0f} | {description['sampled']:.1f} / "
    row += f"{description['deterministic']:.1f} | {description['steps']:,} |"
    assert f"| `{agent}-{tier}.npz` {row}" in (folder / "README.md").read_text()

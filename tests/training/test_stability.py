"""Long runs on real embedded data stay finite; a minute each, so they are marked slow."""

import numpy as np
import pytest

from configs import cql as cql_config
from configs import iql as iql_config
from configs import td3_bc as td3_bc_config
from ssar_jax.algorithms import registry
from ssar_jax.behaviour.generate import load_or_generate
from ssar_jax.data.scaling import prepare
from ssar_jax.data.selection import select_top_fraction
from ssar_jax.data.tasks import get_task
from ssar_jax.training.trainer import OfflineTrainer

AGENTS = ("halfcheetah", "hopper", "walker2d")
ROWS = 50_000


@pytest.fixture(scope="module")
def datasets():
    """Every set is generated once."""
    made = {}

    def get(task):
        if task not in made:
            made[task] = load_or_generate(get_task(task), ROWS)
        return made[task]

    return get


def finite_after(config, dataset, num_updates):
    data = prepare(
        dataset,
        normalize_states=config.dataset.normalize_states,
        range_scaling_horizon=1000 if config.dataset.reward_range_scaling else None,
        clip_actions=config.dataset.clip_actions,
    )
    trainer = OfflineTrainer(
        registry.build(config, dataset.action_size), data, trusted=select_top_fraction(dataset).trusted
    )
    while trainer.step < num_updates:
        for name, value in trainer.advance(1_000).items():
            assert np.isfinite(value).all(), f"{name} at update {trainer.step}"


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["m", "mr", "me", "e"])
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("get_config", [td3_bc_config.get_config, iql_config.get_config], ids=["td3_bc", "iql"])
def test_5_000_updates(get_config, agent, tier, datasets):
    task = f"{agent}-{tier}"
    finite_after(get_config(f"{task},preset=short"), datasets(task), 5_000)


@pytest.mark.slow
@pytest.mark.parametrize("agent", AGENTS)
def test_2_000_updates_of_cql_sa(agent, datasets):
    finite_after(cql_config.get_config(f"{agent}-m,preset=short"), datasets(f"{agent}-m"), 2_000)

"""Checkpoints cross backends: saved with the layout of an accelerator, read, evaluated and resumed with that of a CPU.

The accelerator's layout, vmapped seeds and batched critics, is forced on the CPU.
"""

import importlib

import jax
import numpy as np
import pytest

from ssar_jax.algorithms import registry
from ssar_jax.networks.backend import use_layout
from ssar_jax.runs.storage.checkpoints import Checkpoints
from ssar_jax.training.loop import abstract_states
from ssar_jax.training.trainer import OfflineTrainer
from tests.conftest import random_rows

SEEDS = (3, 4)
SYSTEMS = {
    **{"td3_bc": "sa", "cql": "sa", "iql": "corl", "spot": "base", "fam_cql": "base"},
    **{"rebrac": "sa", "awac": "base", "edac": "base", "cal_ql": "sa"},
}


def small_algorithm(name, variant):
    """The algorithm of a config, with networks of eight units."""
    config = importlib.import_module(f"configs.{name}").get_config(f"hopper-m,variant={variant},preset=short")
    for group in ("critic", "actor", "coefficient", "balance", "density"):
        if "hidden_sizes" in config.get(group, {}):
            config[group].hidden_sizes = (8,)
    if "width" in config.critic:
        config.critic.width = 8
    return registry.build(config, action_size=2)


def make_trainer(algorithm):
    trainer = OfflineTrainer(algorithm, random_rows(algorithm.columns), seeds=SEEDS, batch_size=8)
    if algorithm.pretraining is not None:
        missing = algorithm.pretraining.installed(trainer.states())
        trainer.install_pretrained(jax.tree.map(lambda leaf: np.full_like(leaf, 0.1), missing))
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_a_checkpoint_of_an_accelerator_is_loaded_evaluated_and_resumed_on_a_cpu(name, tmp_path):
    variant = SYSTEMS[name]
    with use_layout("vmap"):
        there = make_trainer(small_algorithm(name, variant))
        there.advance(3)
        checkpoints = Checkpoints(tmp_path, keep=None)
        checkpoints.save(3, there.states())
        there.advance(3)

    algorithm = small_algorithm(name, variant)
    like = abstract_states(algorithm, len(SEEDS), 3, 2)
    states = checkpoints.restore(3, like)
    checkpoints.close()
    assert jax.tree.structure(states) == jax.tree.structure(there.states())
    here = make_trainer(algorithm)
    here.load(states, 3)
    assert np.isfinite(here.policy(4)(np.ones((5, 3)))).all()
    here.advance(3)
    # The same draws, but other rounding: 1e-5 after three updates.
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), here.states(), there.states())

"""All systems, offline and online, on embedded data, for a few hundred steps."""

import numpy as np
import pytest

from experiments.cli.config_files import load_config
from experiments.cli.overrides import apply_overrides, split_overrides
from ssar_jax.runs import offline, online
from ssar_jax.runs.load import load_policy
from tests.smoke import small_run

# For every config, the overrides that make its networks small.
SMALL_CRITICS = ("critic.hidden_sizes=(8,)", "actor.hidden_sizes=(8,)")
SYSTEMS = {
    "iql.py:hopper-m,variant=sa": ("critic.hidden_sizes=(8,)", "coefficient.hidden_sizes=(8,)"),
    "td3_bc.py:hopper-m": (*SMALL_CRITICS, "coefficient.hidden_sizes=(8,)"),
    "td3_bc.py:hopper-m,variant=base": SMALL_CRITICS,
    "cql.py:hopper-m": ("critic.width=8", "actor.hidden_sizes=(8,)", "coefficient.hidden_sizes=(8,)"),
    "cql.py:hopper-m,variant=base": ("critic.width=8", "actor.hidden_sizes=(8,)"),
    "iql.py:hopper-m": ("critic.hidden_sizes=(8,)",),
    "spot.py:hopper-m": (*SMALL_CRITICS, "density.hidden_sizes=(8,)", "density.num_updates=10"),
    "fam_cql.py:hopper-m": (*SMALL_CRITICS, "balance.hidden_sizes=(8,)", "online.steps_between_updates=100"),
    "rebrac.py:hopper-m": (*SMALL_CRITICS, "online.critic_factor=0.5"),
    "rebrac.py:hopper-m,variant=sa": (*SMALL_CRITICS, "coefficient.hidden_sizes=(8,)", "critic.adaptive_penalty=True"),
    "awac.py:hopper-m": ("critic.hidden_sizes=(8,)",),
    "cal_ql.py:hopper-m": ("critic.width=8", "actor.hidden_sizes=(8,)"),
    "cal_ql.py:hopper-m,variant=sa": ("critic.width=8", "actor.hidden_sizes=(8,)", "coefficient.hidden_sizes=(8,)"),
    "edac.py:hopper-m": (*SMALL_CRITICS, "critic.num_critics=3"),
    "edac.py:hopper-m,variant=sac_n": (*SMALL_CRITICS, "critic.num_critics=3"),
}
LENGTHS = (
    *("num_updates=200", "batch_size=16", "evaluation.interval=100", "evaluation.episodes=1", "checkpoint.every=200"),
    *("dataset.source=embedded", "dataset.embedded.num_steps=2_000", "online.num_steps=300", "online.warmup_steps=100"),
)


@pytest.mark.slow  # two phases each; the default suite runs both phases of TD3+BC, and updates of every system
@pytest.mark.parametrize("system", SYSTEMS)
def test_trains_offline_and_online(system, tmp_path):
    config = load_config(f"configs/{system},preset=short")
    overrides, _ = split_overrides([f"--config.{field}" for field in (*SYSTEMS[system], *LENGTHS)])
    apply_overrides(config, overrides)

    assert offline.run(config, tmp_path / "offline") == 0
    assert online.run(config, tmp_path / "online", tmp_path / "offline") == 0

    first, second = small_run.summary(tmp_path / "offline"), small_run.summary(tmp_path / "online")
    assert (first["phase"], second["phase"]) == ("offline", "online")
    assert second["num_updates"] == 200 + 200  # one for each step after the warm-up
    assert second["offline_score"] == first["final_score"]
    for summary in (first, second):
        assert (summary["data_source"], summary["physics"]) == ("embedded", "d4rl-v2")
        assert np.isfinite(summary["final_score"]).all()
    observations = np.random.default_rng(0).normal(size=(50, 11))
    before, after = (load_policy(tmp_path / phase, seed=0)(observations) for phase in ("offline", "online"))
    assert np.all(np.abs(after) <= 1.0)
    assert not np.allclose(before, after)

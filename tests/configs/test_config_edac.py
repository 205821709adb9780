"""The shipped configs of EDAC and SAC-N: hand-typed numbers of critics, the presets, and the algorithms built."""

import pytest

from configs import edac as edac_config
from ssar_jax.algorithms import edac
from tests.configs.helpers import TASKS

get = edac_config.get_config

# Typed by hand from CORL's files: critics of SAC-N, critics of EDAC, eta. It has no expert tasks.
PUBLISHED = {
    **{"halfcheetah-m": (10, 10, 1.0), "halfcheetah-mr": (10, 10, 1.0), "halfcheetah-me": (10, 10, 5.0)},
    **{"hopper-m": (500, 50, 1.0), "hopper-mr": (200, 50, 1.0), "hopper-me": (200, 50, 1.0)},
    **{"walker2d-m": (20, 10, 1.0), "walker2d-mr": (20, 10, 1.0), "walker2d-me": (20, 10, 5.0)},
    **{f"antmaze-{kind}": (25, 10, 1.0) for kind in ("u", "ud", "mp", "md", "lp", "ld")},
}


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_published_ensembles(task):
    sac_n, critics, eta = PUBLISHED[task]
    base, plain = get(task).critic, get(f"{task},variant=sac_n").critic
    assert (base.num_critics, base.eta) == (critics, eta)
    assert (plain.num_critics, plain.eta) == (sac_n, 0.0)


@pytest.mark.parametrize("task", TASKS)
def test_what_all_tasks_share(task):
    config = get(task)
    assert config.variant == "base"
    assert (config.num_updates, config.batch_size, config.discount) == (3_000_000, 256, 0.99)
    assert (config.dataset.normalize_states, config.dataset.reward_scale, config.dataset.reward_bias) == (False, 1, 0)
    assert config.actor.hidden_sizes == config.critic.hidden_sizes == (256, 256, 256)
    assert (config.actor.learning_rate, config.critic.learning_rate, config.critic.tau) == (3e-4, 3e-4, 0.005)
    assert get(f"{task},preset=short").num_updates == 4_000


def test_the_config_is_what_python_gives(monkeypatch):
    monkeypatch.setattr(edac, "edac", lambda action_size, config: config)
    assert edac.from_config(get("halfcheetah-m"), 6) == edac.PUBLISHED
    assert edac.from_config(get("hopper-m,variant=sac_n"), 3) == edac.EDACConfig(num_critics=500, eta=0.0)
    config = get("hopper-m,preset=library")
    assert config.online.trust == "one"
    changed = {"discount": 0.9, "critic.tau": 0.1, "critic.learning_rate": 0.2, "actor.learning_rate": 0.3}
    for name, value in changed.items():
        config.update_from_flattened_dict({name: value})
    built = edac.from_config(config, 3)
    assert (built.discount, built.tau, built.critic_learning_rate, built.actor_learning_rate) == (0.9, 0.1, 0.2, 0.3)

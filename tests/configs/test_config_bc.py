"""`configs/bc.py`: what its variants and presets change."""

import pytest

from configs.bc import get_config
from configs.checks import check_config
from configs.common import fields
from ssar_jax.errors import UserError
from tests.configs.helpers import TASKS, changed


@pytest.mark.parametrize("task", TASKS)
def test_top10_is_base_on_a_tenth_of_the_trajectories(task):
    assert changed(get_config, task, f"{task},variant=top10") == {"dataset.keep_fraction": 0.1}


def test_the_published_setting():
    config = get_config("hopper-m")
    assert (config.actor.policy, config.actor.hidden_sizes, config.actor.learning_rate) == (
        *("deterministic", (256, 256)),
        3e-4,
    )
    assert (config.batch_size, config.num_updates, config.dataset.normalize_states) == (256, 1_000_000, True)
    assert not [name for name in fields(config) if name.startswith(("coefficient", "critic"))]


def test_short_is_shorter():
    assert get_config("hopper-m,preset=short").num_updates == 20_000


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("policy", "guassian", r"actor.policy='guassian' is unknown; .* did you mean gaussian\?"),
        ("keep_fraction", 0.0, "dataset.keep_fraction=0.0 must be above 0 and at most 1"),
        ("keep_fraction", 1.5, "dataset.keep_fraction=1.5 must be above 0 and at most 1"),
    ],
)
def test_what_does_not_fit_is_named(field, value, message):
    config = get_config("hopper-m")
    (config.actor if field == "policy" else config.dataset)[field] = value
    with pytest.raises(UserError, match=message):
        check_config(config)

"""Helpers for the tests of all config files."""

import json

from configs.common import IDENTITY, fields
from experiments.cli.config_files import load_config
from ssar_jax.data import tasks

TASKS = [*(task.name for task in tasks.TASKS), "custom"]
ANTMAZE = [name for name in TASKS if name.startswith("antmaze-")]
LOCOMOTION = [name for name in TASKS if name not in ANTMAZE]


def changed(get, first, second):
    """Returns the fields in which the second config differs from the first, except its name, with the second's values.

    `get` builds a config from the argument after the colon.
    """
    one, other = fields(get(first)), fields(get(second))
    return {name: other[name].value for name in one if one[name] != other[name] and name not in IDENTITY}


def save_config(config, path):
    """Writes a config as a run folder does."""
    path.write_text(json.dumps(config.to_dict()), encoding="utf-8")


def assert_round_trip(config, path):
    """Requires a config that is written and read again to be equal, with the same types, and locked."""
    save_config(config, path)
    repeated = load_config(str(path))
    assert repeated == config
    assert fields(repeated) == fields(config)
    types = [{name: type(field.value) for name, field in fields(one).items()} for one in (repeated, config)]
    assert types[0] == types[1]
    assert repeated.is_locked

"""What the tests of all config files do."""

import json

from configs.common import fields
from experiments.config_files import load_config


def save_config(config, path):
    """Writes a config as a run folder does."""
    path.write_text(json.dumps(config.to_dict()), encoding="utf-8")


def assert_round_trip(config, path):
    """A config that was written and read again is the same, types included, and locked."""
    save_config(config, path)
    repeated = load_config(str(path))
    assert repeated == config
    assert fields(repeated) == fields(config)
    types = [{name: type(field.value) for name, field in fields(one).items()} for one in (repeated, config)]
    assert types[0] == types[1]
    assert repeated.is_locked

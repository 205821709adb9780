"""Config files: what `--config=<file>` names, and the `config.json` by which a run is repeated."""

import importlib.util
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from configs.common import IDENTITY, Config, did_you_mean, fields
from experiments.cli.overrides import suggest_fields
from experiments.cli.values import restore_value
from ssar_jax.errors import UserError
from ssar_jax.nested import flatten

_LOG = logging.getLogger(__name__)

_FOLDER = Path("configs")
_NO_CONFIGS = ("__init__", "checks", "common")


def load_config(source: str) -> Config:
    """Builds the config that `--config=<source>` names.

    Args:
        source: `configs/<algorithm>.py:<task>[,variant=...][,preset=...]`, or the `config.json` of a run.

    Raises:
        UserError: for a file that does not exist or is no config, and for whatever `get_config` refuses.
    """
    match = re.fullmatch(r"(.+?\.(?:py|json))(?::(.*))?", source, re.DOTALL)
    name, argument = match.groups() if match else (source.partition(":")[0], None)
    path = Path(name)
    if not path.is_file():
        raise UserError(f"no config file {name!r}{_suggest_file(path)}")
    if path.suffix == ".py":
        return _call_get_config(path, argument)
    if path.suffix != ".json":
        raise UserError(f"config file {name!r} must end in .py, or be the config.json of a run")
    if argument is not None:
        raise UserError(f"{name} holds a whole config and takes nothing after a colon, got {argument!r}")
    return _restore_config(path)


def preset_config(saved: dict[str, Any]) -> Config:
    """Builds the config of a saved one's algorithm, task, variant and preset, without what else it holds.

    Raises:
        UserError: where there is none.
    """
    algorithm, files = saved["algorithm"], config_files()
    if algorithm not in files:
        hint = did_you_mean(algorithm, files) or "; a file of your own is named itself, --config=<file>.py:<task>"
        raise UserError(f"the config is made by {_FOLDER}/{algorithm}.py, which there is not{hint}")
    return _call_get_config(files[algorithm], f"{saved['task']},variant={saved['variant']},preset={saved['preset']}")


def config_files() -> dict[str, Path]:
    """Returns the shipped config files by algorithm."""
    return {path.stem: path for path in sorted(_FOLDER.glob("*.py")) if path.stem not in _NO_CONFIGS}


def _suggest_file(path: Path) -> str:
    if (path / "config.json").is_file():
        return f"; did you mean {path / 'config.json'}?"
    files = config_files().values()
    near = did_you_mean(f"{path.stem}.py", [file.name for file in files], prefix=f"{_FOLDER}/")
    return near or f"; the shipped ones are {', '.join(map(str, files))}"


def _call_get_config(path: Path, argument: str | None) -> Config:
    """Runs `get_config` of a file that need not belong to any package."""
    spec = importlib.util.spec_from_file_location(f"_config_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UserError(f"{path} has a syntax error in line {error.lineno}: {error.msg}") from error
    if not hasattr(module, "get_config"):
        raise UserError(f"{path} is no config file: it has no function get_config(arg)")
    config = module.get_config(argument)
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config must return a config such as common.shared_config makes, not {config!r}")
    return config


def _restore_config(path: Path) -> Config:
    """Rebuilds a saved config: the config of its algorithm with the saved values in it."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no readable JSON file: {error}") from error
    if not isinstance(saved, dict) or not all(isinstance(saved.get(name), str) for name in IDENTITY):
        raise UserError(f"{path} is no saved config: it must name {', '.join(IDENTITY)}")
    try:
        config = preset_config(saved)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error

    known, values = fields(config), flatten(saved)
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{path}: unknown field {name}{suggest_fields(name, known)}")
        config.update_from_flattened_dict({name: restore_value(f"{path}: {name}", value, known[name])})
    missing = [name for name in known if name not in values]
    if missing:
        _LOG.warning("%s lacks %s; the defaults are taken", path, ", ".join(missing))
    return config

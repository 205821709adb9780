"""Config files: `configs/<algorithm>.py`, and the `config.json` of a run, which repeats it."""

import json
import logging
import re
import runpy
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

import configs
from configs.common import IDENTITY, Config, did_you_mean, fields
from experiments.cli.overrides import current_name, suggest_fields
from experiments.cli.values import restore_value
from ssar_jax.errors import UserError, unreadable
from ssar_jax.files import resolve_path
from ssar_jax.nested import flatten
from ssar_jax.run_format import require_imported

_LOG = logging.getLogger(__name__)

_SHIPPED = Path(configs.__file__).parent
_FOLDER = Path("configs")  # as messages and commands name it, in the repository and in the wheel
_NO_CONFIGS = ("__init__", "checks", "common")


def load_config(source: str) -> Config:
    """Builds the config that `--config=<source>` names.

    Args:
        source: `<algorithm>:<task>[,variant=...][,preset=...]`, the same with a file such as `configs/td3_bc.py`
            before the colon, or the `config.json` of a run. A shipped file is found from every folder, a file of the
            same name in the current one comes first.

    Raises:
        UserError: if the file does not exist or is not a config, or if `get_config` refuses the argument.
    """
    match = re.fullmatch(r"(.+?\.(?:py|json))(?::(.*))?", source, re.DOTALL)
    name, argument = match.groups() if match else source.split(":", 1) if ":" in source else (source, None)
    path = resolve_path(name)
    if not path.is_file():
        path = _shipped_file(name) or path
    if not path.is_file():
        raise UserError(f"no config file {name!r}{_suggest_file(path)}")
    if path.suffix == ".py":
        return _call_get_config(path, argument)
    if path.suffix != ".json":
        raise UserError(f"config file {name!r} must end in .py, or be the config.json of a run")
    if argument is not None:
        raise UserError(f"{name} is a whole config and takes nothing after a colon, got {argument!r}")
    return _restore_config(path)


def resolve_dataset_path(config: Config) -> None:
    """Makes the dataset's path absolute, so that config.json names the same file from every folder.

    Args:
        config: changed in place.

    Raises:
        UserError: if the path begins with an unknown home folder.
    """
    if config.dataset.path is not None:
        from ssar_jax.data.sources.find import resolve_dataset  # takes a quarter of a second, for custom data alone

        config.dataset.path = resolve_dataset(config.dataset.path)


def preset_config(saved: dict[str, Any]) -> Config:
    """Builds the shipped config of a saved config's algorithm, task, variant and preset.

    Args:
        saved: the saved config as nested dictionaries; its other fields are not read.

    Raises:
        UserError: if no shipped config has these names.
    """
    algorithm, files = saved["algorithm"], config_files()
    if algorithm not in files:
        hint = did_you_mean(algorithm, files) or "; for a custom config file write --config=<file>.py:<task>"
        raise UserError(f"there is no {_FOLDER}/{algorithm}.py to build the config with{hint}")
    return _call_get_config(files[algorithm], f"{saved['task']},variant={saved['variant']},preset={saved['preset']}")


def config_files() -> dict[str, Path]:
    """Returns the shipped config files by algorithm."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.py")) if path.stem not in _NO_CONFIGS}


def _shipped_file(name: str) -> Path | None:
    """Returns the shipped file of `td3_bc` or `configs/td3_bc.py`, None for any other name."""
    path = Path(name)
    algorithm = path.stem if (path.parent, path.suffix) == (_FOLDER, ".py") else name
    return config_files().get(algorithm)


def _suggest_file(path: Path) -> str:
    if (path / "config.json").is_file():
        return f"; did you mean {path / 'config.json'}?"
    files = [file.name for file in config_files().values()]
    near = did_you_mean(f"{path.stem}.py", files, prefix=f"{_FOLDER}/")
    return near or f"; the shipped ones are {', '.join(f'{_FOLDER}/{file}' for file in files)}"


def _call_get_config(path: Path, argument: str | None) -> Config:
    """Calls `get_config` of a Python file, which may be outside of any package."""
    try:
        names = runpy.run_path(str(path))
    except PermissionError as error:
        raise unreadable(path, error) or error from error
    except SyntaxError as error:
        raise UserError(f"{path} has a syntax error in line {error.lineno}: {error.msg}") from error
    if "get_config" not in names:
        raise UserError(f"{path} is not a config file: it has no function get_config(arg)")
    config = names["get_config"](argument)
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path}: get_config must return a config, as common.shared_config does, not {config!r}")
    return config


def _restore_config(path: Path) -> Config:
    """Rebuilds a saved config: the shipped config with the saved values."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise unreadable(path, error) or UserError(f"{path} is not a readable JSON file: {error}") from error
    if not isinstance(saved, dict) or not all(isinstance(saved.get(name), str) for name in IDENTITY):
        raise UserError(f"{path} is not a saved config: it must name {', '.join(IDENTITY)}")
    require_imported(saved, path)
    try:
        config = preset_config(saved)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error

    known = fields(config)
    values = {current_name(name, f"{path}: "): value for name, value in flatten(saved).items()}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{path}: unknown field {name}{suggest_fields(name, known)}")
        config.update_from_flattened_dict({name: restore_value(f"{path}: {name}", value, known[name])})
    missing = [name for name in known if name not in values]
    if missing:
        _LOG.warning("%s lacks %s: using the defaults", path, ", ".join(missing))
    return config

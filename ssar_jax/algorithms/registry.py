"""The registry of algorithms, with what the commands need to know about each."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ssar_jax.algorithms import awac, bc, cal_ql, cql, edac, fam_cql, iql, rebrac, spot, td3_bc
from ssar_jax.algorithms.base import Algorithm
from ssar_jax.errors import UserError


class Entry(NamedTuple):
    """An algorithm that configs can name in their field `algorithm`.

    Attributes:
        from_config: (config, action size) -> the algorithm.
        display_names: names in tables and figures by variant; a variant that is not listed is shown as
            `<algorithm> <variant>`.
        operations: (config, observation size, action size) -> floating-point operations per update, for estimates and
            benchmarks; None if unknown.
        offline_only: whether it learns from a dataset alone, so that there is no online phase.
        length_matters: config -> whether an update depends on the number of updates of the whole run, such as through
            a learning rate that decays to 0 at its end; such a run cannot be lengthened. By default it does.
    """

    from_config: Callable[[Any, int], Algorithm]
    display_names: Mapping[str, str] = {}
    operations: Callable[[Any, int, int], float] | None = None
    offline_only: bool = False
    length_matters: Callable[[Any], bool] = lambda config: True


def _never(config: Any) -> bool:
    """Says of every config that the length of the run does not matter."""
    del config
    return False


_ENTRIES: dict[str, Entry] = {
    "td3_bc": Entry(
        td3_bc.from_config,
        {"base": "TD3+BC", "sa": "TD3+BC(SA)", "base_ln": "TD3+BC with LayerNorm"},
        td3_bc.operations,
        length_matters=_never,
    ),
    "cql": Entry(
        cql.from_config,
        {
            "base": "CQL",
            "sa": "CQL(SA)",
            "base_ln": "CQL with LayerNorm",
            "base_finetune": "CQL with CORL's networks for fine-tuning",
        },
        cql.operations,
        length_matters=_never,
    ),
    "iql": Entry(
        iql.from_config,
        {"corl": "IQL", "official": "IQL (authors' form)", "sa": "IQL(SA)"},
        iql.operations,
        length_matters=iql.length_matters,
    ),
    "spot": Entry(spot.from_config, {"base": "SPOT", "sa": "SPOT(SA)"}, spot.operations, length_matters=_never),
    "fam_cql": Entry(fam_cql.from_config, {"base": "FamCQL"}, fam_cql.operations, length_matters=_never),
    "bc": Entry(
        bc.from_config,
        {"base": "BC", "top10": "10 % BC"},
        bc.operations,
        offline_only=True,
        length_matters=_never,
    ),
    "rebrac": Entry(
        rebrac.from_config,
        {"base": "ReBRAC", "sa": "ReBRAC(SA)"},
        rebrac.operations,
        length_matters=_never,
    ),
    "awac": Entry(awac.from_config, {"base": "AWAC"}, awac.operations, length_matters=_never),
    "edac": Entry(edac.from_config, {"base": "EDAC", "sac_n": "SAC-N"}, edac.operations, length_matters=_never),
    "cal_ql": Entry(
        cal_ql.from_config,
        {"base": "Cal-QL", "corl": "Cal-QL (CORL's form)", "sa": "Cal-QL(SA)"},
        cql.operations,
        length_matters=_never,
    ),
}


def register(name: str, entry: Entry) -> None:
    """Registers a custom algorithm, so that the commands and `load_policy` can build it.

    Args:
        name: its name in the config field `algorithm`.
        entry: the algorithm.

    Raises:
        UserError: if another algorithm has this name.
    """
    if name in _ENTRIES and _ENTRIES[name] != entry:
        raise UserError(f"algorithm {name!r} is registered already: choose another name")
    _ENTRIES[name] = entry


def get_entry(name: str) -> Entry:
    """Returns the entry of an algorithm.

    Args:
        name: a registered name, or `<module>:<attribute>` for an `Entry` in an importable module, which need not be
            registered.

    Raises:
        UserError: if the name is unknown, or does not lead to an `Entry`.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    module, colon, attribute = name.partition(":")
    if colon:
        try:
            entry = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise UserError(f"algorithm {name!r} cannot be imported ({error}): is its folder in PYTHONPATH?") from error
        if not isinstance(entry, Entry):
            raise UserError(f"algorithm {name!r} is a {type(entry).__name__}: name an algorithms.registry.Entry")
        return entry
    raise UserError(
        f"algorithm {name!r} is unknown: choose one of {', '.join(_ENTRIES)}, or name a custom one as <module>:<entry>"
    )


def display_name(config: Any) -> str:
    """Returns the name of a config's algorithm and variant in tables and figures.

    Args:
        config: a config, of which `algorithm` and `variant` are read.
    """
    names = get_entry(config.algorithm).display_names
    return names.get(config.variant, f"{config.algorithm} {config.variant}")


def require_online_phase(config: Any) -> None:
    """Requires that a config's algorithm can be fine-tuned.

    Args:
        config: a config, of which `algorithm` and `variant` are read.

    Raises:
        UserError: if it learns from a dataset alone.
    """
    if get_entry(config.algorithm).offline_only:
        raise UserError(
            f"{display_name(config)} learns from a dataset alone and has no online phase: run `ssar-jax offline`, or "
            "fine-tune another algorithm"
        )


def build(config: Any, action_size: int) -> Algorithm:
    """Builds the algorithm that a config describes.

    Args:
        config: a config of `configs/`, read by attribute.
        action_size: number of action dimensions A.

    Raises:
        UserError: if the algorithm is unknown, or a hyperparameter is out of its range.
    """
    return get_entry(config.algorithm).from_config(config, action_size)

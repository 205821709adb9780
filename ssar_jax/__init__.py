"""Offline and offline-to-online reinforcement learning with state-adaptive regularization, in JAX.

All public names are imported from this package: `from ssar_jax import OfflineDataset, OfflineTrainer, td3_bc`. Each is
loaded when it is first used, so `import ssar_jax` loads neither JAX nor MuJoCo and touches no device.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_HOMES = {
    # Data
    "ActionScaling": "data.actions",
    "OfflineDataset": "data.dataset",
    "PreparedData": "data.scaling",
    "Selection": "data.selection",
    "Transitions": "transitions",
    "keep_best": "data.selection",
    "prepare": "data.scaling",
    "select_all": "data.selection",
    "select_by_return": "data.selection",
    "select_successful": "data.selection",
    "select_top_fraction": "data.selection",
    # Algorithms
    "AWACConfig": "algorithms.awac",
    "Algorithm": "algorithms.base",
    "BCConfig": "algorithms.bc",
    "Batch": "types",
    "CQLConfig": "algorithms.cql",
    "EDACConfig": "algorithms.edac",
    "FamCQLConfig": "algorithms.fam_cql",
    "IQLConfig": "algorithms.iql",
    "Pretraining": "algorithms.base",
    "ReBRACConfig": "algorithms.rebrac",
    "SACConfig": "algorithms.sac",
    "SPOTConfig": "algorithms.spot",
    "TD3BCConfig": "algorithms.td3_bc",
    "TrainState": "types",
    "awac": "algorithms.awac",
    "bc": "algorithms.bc",
    "cal_ql": "algorithms.cal_ql",
    "cql": "algorithms.cql",
    "edac": "algorithms.edac",
    "fam_cql": "algorithms.fam_cql",
    "iql": "algorithms.iql",
    "rebrac": "algorithms.rebrac",
    "sac": "algorithms.sac",
    "spot": "algorithms.spot",
    "td3_bc": "algorithms.td3_bc",
    # Coefficients
    "Coefficient": "coefficients.base",
    "anneal": "coefficients.annealing",
    "constant": "coefficients.constant",
    "state_adaptive": "coefficients.state_adaptive",
    # Training
    "FineTuner": "training.fine_tuner",
    "OfflineTrainer": "training.trainer",
    "Protocol": "training.fine_tuner",
    "evaluate": "training.evaluation",
    "fine_tune": "training.fine_tuner",
    "pretrain": "runs.pretraining.models",
    # Environments and runs
    "load_policy": "runs.load",
    "make_env": "envs.make",
    # Errors
    "UserError": "errors",
}
"""The module below `ssar_jax` that defines each public name."""

__all__ = [
    "AWACConfig",
    "ActionScaling",
    "Algorithm",
    "BCConfig",
    "Batch",
    "CQLConfig",
    "Coefficient",
    "EDACConfig",
    "FamCQLConfig",
    "FineTuner",
    "IQLConfig",
    "OfflineDataset",
    "OfflineTrainer",
    "PreparedData",
    "Pretraining",
    "Protocol",
    "ReBRACConfig",
    "SACConfig",
    "SPOTConfig",
    "Selection",
    "TD3BCConfig",
    "TrainState",
    "Transitions",
    "UserError",
    "__version__",
    "anneal",
    "awac",
    "bc",
    "cal_ql",
    "constant",
    "cql",
    "edac",
    "evaluate",
    "fam_cql",
    "fine_tune",
    "iql",
    "keep_best",
    "load_policy",
    "make_env",
    "prepare",
    "pretrain",
    "rebrac",
    "sac",
    "select_all",
    "select_by_return",
    "select_successful",
    "select_top_fraction",
    "spot",
    "state_adaptive",
    "td3_bc",
]

if TYPE_CHECKING:
    from ssar_jax.algorithms.awac import AWACConfig as AWACConfig
    from ssar_jax.algorithms.awac import awac as awac
    from ssar_jax.algorithms.base import Algorithm as Algorithm
    from ssar_jax.algorithms.base import Pretraining as Pretraining
    from ssar_jax.algorithms.bc import BCConfig as BCConfig
    from ssar_jax.algorithms.bc import bc as bc
    from ssar_jax.algorithms.cal_ql import cal_ql as cal_ql
    from ssar_jax.algorithms.cql import CQLConfig as CQLConfig
    from ssar_jax.algorithms.cql import cql as cql
    from ssar_jax.algorithms.edac import EDACConfig as EDACConfig
    from ssar_jax.algorithms.edac import edac as edac
    from ssar_jax.algorithms.fam_cql import FamCQLConfig as FamCQLConfig
    from ssar_jax.algorithms.fam_cql import fam_cql as fam_cql
    from ssar_jax.algorithms.iql import IQLConfig as IQLConfig
    from ssar_jax.algorithms.iql import iql as iql
    from ssar_jax.algorithms.rebrac import ReBRACConfig as ReBRACConfig
    from ssar_jax.algorithms.rebrac import rebrac as rebrac
    from ssar_jax.algorithms.sac import SACConfig as SACConfig
    from ssar_jax.algorithms.sac import sac as sac
    from ssar_jax.algorithms.spot import SPOTConfig as SPOTConfig
    from ssar_jax.algorithms.spot import spot as spot
    from ssar_jax.algorithms.td3_bc import TD3BCConfig as TD3BCConfig
    from ssar_jax.algorithms.td3_bc import td3_bc as td3_bc
    from ssar_jax.coefficients.annealing import anneal as anneal
    from ssar_jax.coefficients.base import Coefficient as Coefficient
    from ssar_jax.coefficients.constant import constant as constant
    from ssar_jax.coefficients.state_adaptive import state_adaptive as state_adaptive
    from ssar_jax.data.actions import ActionScaling as ActionScaling
    from ssar_jax.data.dataset import OfflineDataset as OfflineDataset
    from ssar_jax.data.scaling import PreparedData as PreparedData
    from ssar_jax.data.scaling import prepare as prepare
    from ssar_jax.data.selection import Selection as Selection
    from ssar_jax.data.selection import keep_best as keep_best
    from ssar_jax.data.selection import select_all as select_all
    from ssar_jax.data.selection import select_by_return as select_by_return
    from ssar_jax.data.selection import select_successful as select_successful
    from ssar_jax.data.selection import select_top_fraction as select_top_fraction
    from ssar_jax.envs.make import make_env as make_env
    from ssar_jax.errors import UserError as UserError
    from ssar_jax.runs.load import load_policy as load_policy
    from ssar_jax.runs.pretraining.models import pretrain as pretrain
    from ssar_jax.training.evaluation import evaluate as evaluate
    from ssar_jax.training.fine_tuner import FineTuner as FineTuner
    from ssar_jax.training.fine_tuner import Protocol as Protocol
    from ssar_jax.training.fine_tuner import fine_tune as fine_tune
    from ssar_jax.training.trainer import OfflineTrainer as OfflineTrainer
    from ssar_jax.transitions import Transitions as Transitions
    from ssar_jax.types import Batch as Batch
    from ssar_jax.types import TrainState as TrainState


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

"""Checks of a whole config, before anything compiles; fields that an algorithm does not have are skipped."""

import math
from typing import Any, get_args

import numpy as np

from configs.common import Config, Field, did_you_mean, fields
from ssar_jax import choices
from ssar_jax.data.tasks import CUSTOM
from ssar_jax.errors import UserError
from ssar_jax.ranges import are_sizes, require_in_range

CHOICES: dict[str, tuple[str, ...]] = {
    "precision": get_args(choices.Precision),
    "layout": get_args(choices.SeedLayout),
    "evaluation.overlap": get_args(choices.Overlap),
    "physics": ("auto", *get_args(choices.Physics)),
    "dataset.source": get_args(choices.Source),
    "selection.rule": get_args(choices.SelectionRule),
    "coefficient.kind": get_args(choices.CoefficientKind),
    "coefficient.last_kernel_init": get_args(choices.LastKernelInit),
    "coefficient.anneal": get_args(choices.Annealing),
    "actor.policy": get_args(choices.ClonedPolicy),
    "balance.map": get_args(choices.BalanceMap),
    "balance.next_coefficient": get_args(choices.NextCoefficient),
    "actor.schedule": get_args(choices.ActorSchedule),
    "online.actor_schedule": get_args(choices.OnlineActorSchedule),
    "online.buffer": get_args(choices.ReplayMode),
    "online.trust": get_args(choices.ReplayTrust),
}
_INT32 = 2**31
_WITHOUT_SELECTION = ("bc", "awac", "edac", "fam_cql")  # they train on all rows alike; a custom algorithm may select


def check_config(config: Config) -> None:
    """Checks every field, then the fields that depend on each other.

    Raises:
        UserError: for the first field that does not fit, with its value and what would fit.
    """
    for name, field in fields(config).items():
        _check_field(name, field)
    for check in (
        _check_seeds, _check_data, _check_selection, _check_coefficient, _check_balance, _check_critic, _check_online,
    ):  # fmt: skip
        check(config)


def _check_field(name: str, field: Field) -> None:
    value = field.value
    if value is None:
        if not field.optional:
            raise UserError(f"{name} is unset; it needs a value")
        return
    if name in CHOICES and value not in CHOICES[name]:
        hint = did_you_mean(str(value), CHOICES[name])
        raise UserError(f"{name}={value!r} is unknown; choose one of {', '.join(CHOICES[name])}{hint}")
    if name.endswith("hidden_sizes") and not are_sizes(value):
        raise UserError(f"{name}={value!r} must be a tuple of positive integers such as (256, 256)")
    if name == "critic.hidden_layers" and not (are_sizes(value) and len(value) == 2):
        raise UserError(f"{name}={value!r} must be two positive integers such as (3, 3), one for each critic")
    if field.kind in (int, float):
        require_in_range(name, value)
    if field.kind is int and name != "seed" and value >= _INT32:
        raise UserError(f"{name}={value!r} must be below {_INT32:,}: counters have 32 bits")


def _check_seeds(config: Config) -> None:
    last = config.seed + config.num_seeds - 1
    if last >= _INT32:
        raise UserError(f"seed={config.seed} with num_seeds={config.num_seeds} ends at {last}, above {_INT32 - 1}")


def _check_data(config: Config) -> None:
    dataset, custom = config.dataset, config.task == CUSTOM
    if custom and dataset.path is None:
        raise UserError("task custom needs your data: --config.dataset.path=<file.hdf5, file.npz or Minari dataset>")
    if dataset.source == "path" and dataset.path is None:
        raise UserError("dataset.source='path' needs dataset.path, which is unset")
    if dataset.path is not None and dataset.source in ("d4rl", "embedded"):
        raise UserError(
            f"dataset.path={dataset.path!r} contradicts dataset.source={dataset.source!r}; "
            "leave the source at auto, or the path unset"
        )
    if not custom:
        given = {"environment.id": config.environment.id}
        given |= {f"dataset.{name}": dataset[name] for name in ("action_low", "action_high")}
        for name, value in given.items():
            if value is not None:
                raise UserError(f"{name}={value!r} belongs to task custom; {config.task} defines its own")
    _check_action_bounds(dataset.action_low, dataset.action_high)


def _check_action_bounds(low: Any, high: Any) -> None:
    if low is None and high is None:
        return
    if low is None or high is None:
        raise UserError(f"dataset.action_low={low!r} and dataset.action_high={high!r} must be given together")
    lows, highs = (bound if isinstance(bound, tuple) else (bound,) for bound in (low, high))
    for name, bounds in (("action_low", lows), ("action_high", highs)):
        if not bounds or not all(type(x) in (int, float) and math.isfinite(x) for x in bounds):
            raise UserError(f"dataset.{name}={bounds!r} must be a number or a tuple of numbers, all finite")
    if 1 not in (len(lows), len(highs)) and len(lows) != len(highs):
        raise UserError(
            f"dataset.action_low has {len(lows)} numbers, dataset.action_high {len(highs)}; they must agree"
        )
    size = max(len(lows), len(highs))
    if any(a >= b for a, b in zip(lows * (size // len(lows)), highs * (size // len(highs)), strict=True)):
        raise UserError(f"dataset.action_low={low!r} must be below dataset.action_high={high!r}")


def _check_selection(config: Config) -> None:
    selection = config.selection
    for rule, needed in (("return", "threshold"), ("advantage", "expectile")):
        if selection.rule == rule and selection[needed] is None:
            raise UserError(f"selection.rule={rule!r} needs selection.{needed}, which is unset")
    if selection.rule == "success" and not config.task.startswith(("antmaze-", CUSTOM)):
        raise UserError(
            f"selection.rule='success' needs a task with a goal, and {config.task} has none; "
            "use return, advantage or top_fraction"
        )
    if selection.rule != "none" and config.algorithm in _WITHOUT_SELECTION:
        raise UserError(
            f"selection.rule={selection.rule!r} has no effect: it selects the rows that train SSAR's coefficient, and "
            f"{config.algorithm} has none; dataset.keep_fraction=0.1 trains on the best tenth of the trajectories alone"
        )


def _check_coefficient(config: Config) -> None:
    coefficient = config.get("coefficient")
    if coefficient is None:
        return
    if coefficient.n_end < coefficient.n_start:
        raise UserError(
            f"coefficient.n_end={coefficient.n_end} is below coefficient.n_start={coefficient.n_start}; "
            "n never decreases"
        )
    if config.algorithm in ("cql", "cal_ql") and coefficient.kind == "state_adaptive":
        limit = config.dataset.clip_actions
        if limit is None or np.float32(limit) >= 1:  # training holds actions in float32
            raise UserError(
                f"dataset.clip_actions={limit!r} must be below 1, such as 0.9999, for coefficient.kind="
                "'state_adaptive': the trust region takes the policy's density at the data's actions, which "
                "is undefined at -1 and 1"
            )


def _check_balance(config: Config) -> None:
    balance = config.get("balance")
    if balance is not None and balance.low > balance.high:
        raise UserError(f"balance.low={balance.low} must be at most balance.high={balance.high}")


def _check_critic(config: Config) -> None:
    critic = config.get("critic", {})
    low, high = (critic.get(name) for name in ("difference_min", "difference_max"))
    if low is not None and high is not None and low >= high:
        raise UserError(f"critic.difference_min={low} must be below critic.difference_max={high}")


def _check_online(config: Config) -> None:
    online = config.online
    if online.warmup_steps >= online.num_steps:
        raise UserError(
            f"online.warmup_steps={online.warmup_steps} must be below online.num_steps={online.num_steps}, "
            "or there are no online updates"
        )
    if online.warmup_steps + online.steps_between_updates > online.num_steps:
        raise UserError(
            f"online.steps_between_updates={online.steps_between_updates} is more than the "
            f"{online.num_steps - online.warmup_steps} steps after the warm-up, so there are no online updates"
        )
    if online.get("buffer") == "half" and config.batch_size % 2:
        raise UserError(f"batch_size={config.batch_size} must be even for online.buffer='half'")

"""CQL and CQL(SA): `configs/cql.py:<task>[,variant=<name>][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Variants: `sa` is CQL with the state-adaptive coefficient and LayerNorm in the critics, `base` is CQL as CORL runs
it, `base_ln` is base with LayerNorm, which separates the effects of the two changes. `base_finetune`
is base with the networks of CORL's fine-tuning program, to be trained offline and then online.

Presets: `paper` is the published setting, `library` corrects the accidents of the published program and lets SSAR's
regularizer act in all states, `short` is such a run shortened to 4,000 updates, for a first try.
"""

import math
from typing import NamedTuple

from ml_collections.config_dict import FieldReference, placeholder

from configs import common

VARIANTS = ("sa", "base", "base_ln", "base_finetune")

# Ours: an update takes about ten times as long as one of TD3+BC, so the short preset has a fifth of the usual updates.
SHORTENING = 5 * common.SHORTENING


class _Row(NamedTuple):
    """One task in the configuration files of the authors' program."""

    rule: str  # selection of the trusted sub-dataset
    threshold: float | None  # rule "return": trajectories with a larger raw return are trusted
    expectile: float | None  # rule "advantage"
    mask_regularizer: bool  # whether the conservative penalty acts on trusted transitions alone
    n_start: float
    n_end: float
    num_updates: int
    buffer: str  # initial content of the online replay buffer
    capacity: int  # of the online buffer


# Source: program, its configuration files and the defaults of its arguments. No trajectory of D4RL's halfcheetah-m
# (best return 5309) and -mr (4985) reaches 6000: there the published CQL(SA) trains without a conservative penalty.
# fmt: off
_TABLE = {
    #                  rule        thresh. expect. mask n_start n_end updates buffer capacity
    "halfcheetah-m":  ("return",     6000, None, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "halfcheetah-mr": ("return",     6000, None, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "halfcheetah-me": ("return",    11000, None, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "halfcheetah-e":  ("return",    11000, None, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "hopper-m":       ("return",     2500, None, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "hopper-mr":      ("advantage",  None,  0.7, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "hopper-me":      ("advantage",  None,  0.5, True,  1.0, 1.5, 1_000_000, "part", 2_000_000),
    "hopper-e":       ("return",     3500, None, True,  1.0, 1.5, 1_000_000, "part", 2_000_000),
    "walker2d-m":     ("return",     3600, None, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "walker2d-mr":    ("advantage",  None,  0.7, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "walker2d-me":    ("advantage",  None,  0.7, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "walker2d-e":     ("return",     4800, None, True,  1.0, 3.0, 1_000_000, "part", 2_000_000),
    "antmaze-u":      ("success",    None, None, False, 1.0, 5.0, 2_000_000, "all",  1_500_000),
    "antmaze-ud":     ("success",    None, None, False, 1.0, 3.0, 2_000_000, "all",  1_500_000),
    "antmaze-mp":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",  1_500_000),
    "antmaze-md":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",  1_500_000),
    "antmaze-lp":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",  1_500_000),
    "antmaze-ld":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",  1_500_000),
    # Ours: the settings of most locomotion tasks without the mask, and the best 30 % of the trajectories by return.
    "custom":         ("top_fraction", None, None, False, 1.0, 3.0, 1_000_000, "part", 2_000_000),
}
# fmt: on


# On these two no trajectory reaches the program's threshold, so that its selection is empty. The library's choice is
# the selection of TD3+BC(SA) in the same program.
_SELECTING = {"halfcheetah-m": ("return", 5200.0, None), "halfcheetah-mr": ("advantage", None, 0.7)}


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="cql", variants=VARIANTS)
    row, antmaze = _Row(*_TABLE[choice.task]), choice.is_antmaze
    config = common.shared_config(choice)
    config.num_updates = row.num_updates
    # CORL scales hopper-medium's rewards by the range of returns, unlike all its other tasks; we do not.
    config.dataset.reward_scale = 10.0 if antmaze else 1.0  # program and CORL
    config.dataset.reward_bias = -5.0 if antmaze else 0.0  # program and CORL
    config.dataset.normalize_states = not antmaze  # program and CORL
    config.dataset.clip_actions = 1 - 1e-4  # program: at 1 the policy's density is undefined
    config.selection.rule = row.rule
    config.selection.threshold = row.threshold
    config.selection.expectile = row.expectile
    config.coefficient = common.coefficient_config()
    config.coefficient.update(
        {
            "base": 5.0 if antmaze else 10.0,  # program and CORL: cql_alpha
            "learning_rate": 1e-8,  # program
            "n_start": row.n_start,
            "n_end": row.n_end,
            "mask_regularizer": row.mask_regularizer,
            "anneal": "cosine",  # program; linear in the paper
        }
    )
    config.critic = {
        "width": 256,  # program and CORL: of every hidden layer
        # Of each critic. Program and CORL: AntMaze sets 5, which the code of the second critic ignores.
        "hidden_layers": (5, 3) if antmaze else (3, 3),
        "layer_norm": True,  # program
        "output_gain": 0.01,  # program and CORL: orthogonal gain of the last kernel
        "learning_rate": 3e-4,  # program and CORL: also of the Lagrange multiplier
        "tau": 0.005,  # program and CORL: Polyak factor of the target networks
        "max_backup": antmaze,  # program and CORL: whether the TD target takes the best of num_actions actions
        "backup_entropy": False,  # program and CORL: whether the TD target includes the entropy
        "num_actions": 10,  # program and CORL: sampled actions of each of the three kinds
        "importance_sampling": True,  # program and CORL
        "softmax_temperature": 1.0,  # program and CORL
        # Clips on the conservative difference; unset: no clip.
        "difference_min": FieldReference(-200.0 if antmaze else None, field_type=float),  # program and CORL
        "difference_max": placeholder(float),
        "lagrange": antmaze,  # program and CORL: whether a multiplier keeps the difference at target_gap
        "target_gap": 0.8,  # program and CORL; unused without lagrange
    }
    config.actor = {
        "hidden_sizes": (256, 256, 256),  # program and CORL
        "learning_rate": 1e-4 if antmaze else 3e-5,  # program and CORL: also of the temperature
        "bc_weight": 0.5 if antmaze else 0.0,  # program; absent from the paper's formulas
        # Gain of orthogonal kernels in all layers; unset in program and CORL offline: PyTorch's initializers.
        "orthogonal_gain": placeholder(float),
    }
    config.online.update({"buffer": row.buffer, "buffer_capacity": row.capacity})

    if choice.variant != "sa":
        _use_constant_coefficient(config, layer_norm=choice.variant == "base_ln")
    if choice.variant == "base_finetune":
        _use_networks_of_fine_tuning(config, choice)
    if choice.preset == "library":
        _use_library_preset(config, choice)
    elif choice.preset == "short":
        common.use_short_preset(config, SHORTENING)
    return config.lock()


def _use_constant_coefficient(config: common.Config, *, layer_norm: bool) -> None:
    """Turns the config into CQL: CORL's offline; online CORL's AntMaze protocol, on locomotion too (ours)."""
    config.num_updates = 1_000_000  # CORL, on AntMaze too
    config.dataset.clip_actions = None
    config.critic.layer_norm = layer_norm
    config.actor.bc_weight = 0.0
    config.coefficient.kind = "constant"
    config.coefficient.mask_coefficient = False
    config.coefficient.mask_regularizer = False
    config.coefficient.anneal = "none"
    config.selection.rule = "none"
    config.selection.threshold = None
    config.selection.expectile = None
    config.online.buffer = "all"
    config.online.buffer_capacity = 2_500_000  # the largest dataset, 2,000,000 rows, and all online steps
    config.online.warmup_steps = 0


def _use_networks_of_fine_tuning(config: common.Config, choice: common.Choice) -> None:
    """Turns base CQL into what CORL's fine-tuning program, which has AntMaze alone, trains before it goes online."""
    if choice.is_antmaze:
        config.critic.hidden_layers = (5, 5)
    config.critic.output_gain = math.sqrt(2.0)
    config.actor.orthogonal_gain = math.sqrt(2.0)


def _use_library_preset(config: common.Config, choice: common.Choice) -> None:
    """Corrects the program's accidents, and its deviations from the paper."""
    common.use_library_preset(config)
    config.actor.bc_weight = 0.0
    if choice.variant == "sa":
        config.coefficient.anneal = "linear"  # the paper, for all algorithms
        if choice.task in _SELECTING:
            rule, threshold, expectile = _SELECTING[choice.task]
            config.selection.update({"rule": rule, "threshold": threshold, "expectile": expectile})
    if choice.is_antmaze:
        config.critic.hidden_layers = (5, 5)  # both critics have the depth that the option says

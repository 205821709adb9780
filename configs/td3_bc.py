"""TD3+BC and TD3+BC(SA): `configs/td3_bc.py:<task>[,variant=sa|base|base_ln][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Variants: `sa` is TD3+BC with the state-adaptive coefficient and LayerNorm in the critics, `base` is TD3+BC as
published, `base_ln` is base with LayerNorm, which separates the effects of the two changes.

Presets: `paper` is the published setting, `library` corrects the accidents of the published program and lets SSAR's
regularizer act in all states, `short` is such a run shortened to 20,000 updates, for a first try.
"""

from typing import NamedTuple

from configs import common

VARIANTS = ("sa", "base", "base_ln")


class _Row(NamedTuple):
    """One task in the configuration files of the authors' program."""

    rule: str  # selection of the trusted sub-dataset
    threshold: float | None  # rule "return": trajectories with a larger raw return are trusted
    expectile: float | None  # rule "advantage"
    mask_regularizer: bool  # whether the behavior cloning term acts on trusted transitions alone
    n_start: float
    n_end: float
    num_updates: int
    buffer: str  # initial content of the online replay buffer
    policy_freq: int  # online critic updates per actor update
    decay_steps: int
    capacity: int  # of the online buffer


# Source: program, its configuration files and the defaults of its arguments.
# fmt: off
_TABLE = {
    #                  rule        thresh. expect. mask n_start n_end updates buffer freq   decay   capacity
    "halfcheetah-m":  ("return",     5200, None, True,  1.0, 3.0, 1_000_000, "part",   2, 400_000, 2_000_000),
    "halfcheetah-mr": ("advantage",  None,  0.7, True,  1.0, 3.0, 1_000_000, "part",   2, 400_000, 2_000_000),
    "halfcheetah-me": ("advantage",  None,  0.7, False, 1.0, 1.5, 1_000_000, "part",   2, 400_000, 2_000_000),
    "halfcheetah-e":  ("return",    10500, None, True,  1.0, 1.5, 1_000_000, "part",   2, 400_000, 2_000_000),
    "hopper-m":       ("return",     1800, None, True,  1.0, 3.0, 1_000_000, "part",   2, 400_000, 2_000_000),
    "hopper-mr":      ("advantage",  None,  0.7, True,  1.0, 3.0, 1_000_000, "part",   2, 400_000, 2_000_000),
    "hopper-me":      ("advantage",  None,  0.5, True,  1.0, 1.5, 1_000_000, "part",   2, 400_000, 2_000_000),
    "hopper-e":       ("return",     3500, None, True,  1.0, 1.5, 1_000_000, "part",   2, 400_000, 2_000_000),
    "walker2d-m":     ("return",     2500, None, True,  1.0, 3.0, 1_000_000, "part",   2, 400_000, 2_000_000),
    "walker2d-mr":    ("advantage",  None,  0.7, True,  1.0, 3.0, 1_000_000, "part",   2, 400_000, 2_000_000),
    "walker2d-me":    ("advantage",  None,  0.7, True,  1.0, 1.5, 1_000_000, "part",   2, 400_000, 2_000_000),
    "walker2d-e":     ("return",     4500, None, True,  1.0, 1.5, 1_000_000, "part",   2, 400_000, 2_000_000),
    "antmaze-u":      ("success",    None, None, False, 1.0, 5.0, 2_000_000, "all",    2, 400_000, 1_000_000),
    "antmaze-ud":     ("success",    None, None, False, 1.0, 3.0, 2_000_000, "all",    2, 400_000, 1_000_000),
    "antmaze-mp":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",   30,      -1, 1_000_000),
    "antmaze-md":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",   20,      -1, 1_000_000),
    "antmaze-lp":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",  100,      -1, 1_000_000),
    "antmaze-ld":     ("success",    None, None, False, 5.0, 5.0, 2_000_000, "all",  100,      -1, 1_000_000),
    # Ours: the settings of most locomotion tasks without the mask, and the best 30 % of the trajectories by return.
    "custom":         ("top_fraction", None, None, False, 1.0, 3.0, 1_000_000, "part", 2, 400_000, 2_000_000),
}
# fmt: on


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="td3_bc", variants=VARIANTS)
    row = _Row(*_TABLE[choice.task])
    config = common.shared_config(choice)
    config.num_updates = row.num_updates
    config.dataset.reward_bias = -1.0 if choice.is_antmaze else 0.0  # program and CORL
    config.selection.rule = row.rule
    config.selection.threshold = row.threshold
    config.selection.expectile = row.expectile
    config.coefficient = common.coefficient_config()
    config.coefficient.update(
        {
            "base": 0.4,  # program and CORL: 1 / alpha with alpha = 2.5
            "learning_rate": 3e-8,  # program
            "n_start": row.n_start,
            "n_end": row.n_end,
            "delta": 0.1,  # program: the trust region has radius n * delta
            "mask_regularizer": row.mask_regularizer,
            "anneal": "linear",  # program
            "decay_steps": row.decay_steps,
        }
    )
    config.critic = {
        "hidden_sizes": (256, 256),  # program and CORL
        "layer_norm": True,  # program
        "learning_rate": 3e-4,  # program and CORL
        "tau": 0.005,  # program and CORL: Polyak factor of all target networks
    }
    config.actor = {
        "hidden_sizes": (256, 256),  # program and CORL
        "learning_rate": 3e-4,  # program and CORL
        "policy_freq": 2,  # program and CORL: critic updates per update of actor and targets
        "policy_noise": 0.2,  # program and CORL: on the actions of the target policy
        "noise_clip": 0.5,  # program and CORL
    }
    config.online.update(
        {
            "buffer": row.buffer,
            "buffer_capacity": row.capacity,
            "policy_freq": row.policy_freq,
            "decouple_targets": False,  # program: the targets are updated as rarely as the actor
        }
    )

    if choice.variant == "sa":
        _set_antmaze_buffer(config, choice)
    else:
        _use_constant_coefficient(config, layer_norm=choice.variant == "base_ln")
    if choice.preset == "library":
        common.use_library_preset(config)
        config.online.noise = 0.1  # TD3's exploration
        config.online.policy_freq = 2  # as offline
        config.coefficient.decay_steps = 400_000  # on AntMaze medium and large too
    elif choice.preset == "short":
        common.use_short_preset(config)
    return config.lock()


def _set_antmaze_buffer(config: common.Config, choice: common.Choice) -> None:
    """Chooses the initial content of the online buffer on AntMaze.

    The program puts "all" into a ring of 1,000,000, which the data alone nearly fill, and samples below the write
    pointer: once that wraps, during warm-up, it samples online data only. "none" has this effect without the bug.
    """
    if choice.is_antmaze and choice.preset == "library":
        config.online.buffer_capacity = 1_500_000  # program, CQL(SA): the data and all online steps fit
    elif choice.is_antmaze:
        config.online.buffer = "none"


def _use_constant_coefficient(config: common.Config, *, layer_norm: bool) -> None:
    """Turns the config into TD3+BC: CORL's offline; the online phase is ours, since none was published."""
    config.num_updates = 1_000_000  # CORL, on AntMaze too
    config.critic.layer_norm = layer_norm
    config.coefficient.kind = "constant"
    config.coefficient.mask_coefficient = False
    config.coefficient.mask_regularizer = False
    config.coefficient.anneal = "none"
    config.selection.rule = "none"
    config.selection.threshold = None
    config.selection.expectile = None
    config.online.buffer = "all"
    config.online.buffer_capacity = 2_500_000  # the largest dataset, 2,000,000 rows, and all online steps
    config.online.policy_freq = config.actor.policy_freq
    config.online.noise = 0.1
    config.online.warmup_steps = 5_000  # as SSAR, for comparison

"""ReBRAC: `configs/rebrac.py:<task>[,variant=base|sa][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Variants: `base` is ReBRAC as published; `sa`, experimental and unpublished, is `base` with an actor penalty that the
state-adaptive coefficient weighs. `--config.critic.adaptive_penalty=True` lets it scale the critics' penalty too.

Presets: `paper` is the published setting, `library` starts the coefficient of `sa` exactly at its base value, `short`
is the run shortened to 4,000 updates, for a first try.

Fine-tuning on locomotion was never published: the online settings there are those of AntMaze.

Sources: *official* is the program of ReBRAC's authors (github.com/tinkoff-ai/ReBRAC), whose settings CORL shares. The
online settings are those of CORL's algorithms/finetune/rebrac.py.
"""

from typing import NamedTuple

from configs import common

VARIANTS = ("base", "sa")

# Ours: an update on locomotion takes about ten times as long as one of TD3+BC, so the short preset has a fifth of the
# usual updates.
SHORTENING = 5 * common.SHORTENING


class _Row(NamedTuple):
    """One task in the authors' configuration files."""

    actor: float  # weight of the actor's penalty
    critic: float  # weight of the critics' penalty


# Source: official and CORL, except where marked as ours.
_WEIGHTS = {
    "halfcheetah-m": _Row(0.001, 0.01),
    "halfcheetah-mr": _Row(0.01, 0.001),
    "halfcheetah-me": _Row(0.01, 0.1),
    "halfcheetah-e": _Row(0.01, 0.01),
    "hopper-m": _Row(0.01, 0.01),
    "hopper-mr": _Row(0.05, 0.5),
    "hopper-me": _Row(0.1, 0.01),
    "hopper-e": _Row(0.1, 0.1),
    "walker2d-m": _Row(0.05, 0.1),
    "walker2d-mr": _Row(0.05, 0.01),
    "walker2d-me": _Row(0.01, 0.01),
    "walker2d-e": _Row(0.01, 0.5),
    "antmaze-u": _Row(0.003, 0.002),
    "antmaze-ud": _Row(0.003, 0.001),
    "antmaze-mp": _Row(0.001, 0.0005),
    "antmaze-md": _Row(0.001, 0.0),
    "antmaze-lp": _Row(0.002, 0.001),
    "antmaze-ld": _Row(0.002, 0.002),
    "custom": _Row(0.01, 0.01),  # ours: as hopper-m
}


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="rebrac", variants=VARIANTS)
    antmaze, weights = choice.is_antmaze, _WEIGHTS[choice.task]
    config = common.shared_config(choice)
    config.batch_size = 256 if antmaze else 1024  # official and CORL, as the following
    config.discount = 0.999 if antmaze else 0.99
    config.dataset.normalize_states = False
    config.dataset.reward_scale = 100.0 if antmaze else 1.0
    config.coefficient = common.coefficient_config()
    config.coefficient.update(
        {
            "kind": "constant",
            "base": weights.actor,  # the weight of the actor's penalty
            # Only used by variant sa, all ours: as TD3+BC(SA) on most locomotion tasks. The penalty acts in all states,
            # as in base.
            "learning_rate": 3e-8,
            "n_start": 1.0,
            "n_end": 3.0,
            "delta": 0.1,
            "mask_coefficient": False,
            "mask_regularizer": False,
            # CORL: online the actor's penalty decays to half of its weight, linearly in 1,000,000 steps, so it ends at
            # 0.75 after 250,000.
            "anneal": "linear",
            "decay_steps": 1_000_000,
            "anneal_floor": 0.5,
        }
    )
    config.critic = {  # official and CORL
        "hidden_sizes": (256, 256, 256),
        "layer_norm": True,  # after the ReLU
        "learning_rate": 5e-5 if antmaze else 1e-3,
        "tau": 0.005,  # Polyak factor of all target networks
        "penalty": weights.critic,
        "adaptive_penalty": False,  # ours: whether beta(s') / base scales the critics' penalty
    }
    config.actor = {  # official and CORL
        "hidden_sizes": (256, 256, 256),
        "layer_norm": False,
        "learning_rate": 3e-4 if antmaze else 1e-3,
        "normalize_q": True,  # whether the Q term is divided by the mean of |Q|
        "policy_freq": 2,  # critic updates per update of actor and targets
        "policy_noise": 0.2,  # on the actions of the target policy
        "noise_clip": 0.5,
    }
    config.online.update(  # CORL
        {
            "warmup_steps": 0,
            "buffer": "half",  # half of every minibatch is offline data
            "buffer_capacity": 2_000_000,
            "critic_factor": 0.0,  # on the critics' penalty
            "noise": 0.0,
        }
    )
    if choice.variant == "sa":
        _use_adaptive_coefficient(config, choice)
    if choice.preset == "library":
        common.use_library_preset(config)
    elif choice.preset == "short":
        common.use_short_preset(config, SHORTENING)
    return config.lock()


def _use_adaptive_coefficient(config: common.Config, choice: common.Choice) -> None:
    """Turns the config into ReBRAC(SA), all ours: the selected transitions train the coefficient."""
    config.coefficient.kind = "state_adaptive"
    config.coefficient.mask_coefficient = True
    config.selection.rule = "success" if choice.is_antmaze else "top_fraction"

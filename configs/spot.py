"""SPOT: `configs/spot.py:<task>[,variant=base|sa][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Variants: `base` is SPOT as published; `sa`, experimental and unpublished, is `base` with a density penalty that the
state-adaptive coefficient scales.

Presets: `paper` is the published setting, `library` corrects the accidents of the published program, `short` is
the run shortened to 20,000 updates, for a first try.

Fine-tuning on locomotion was never published: the online settings there are those of AntMaze, except for the
discount, which is our choice.

Sources: *official* is the program of SPOT's authors (github.com/thuml/SPOT), whose AntMaze setting CORL shares.
"""

from ml_collections.config_dict import placeholder

from configs import common

VARIANTS = ("base", "sa")

# The coefficient of the density penalty. Source: official, except where marked as ours.
_COEFFICIENTS = {
    "halfcheetah-m": 0.05,
    "halfcheetah-mr": 0.05,
    "halfcheetah-me": 1.0,
    "halfcheetah-e": 1.0,  # ours: as medium-expert
    "hopper-m": 0.1,
    "hopper-mr": 0.1,
    "hopper-me": 0.2,
    "hopper-e": 0.2,  # ours: as medium-expert
    "walker2d-m": 0.2,
    "walker2d-mr": 0.2,
    "walker2d-me": 0.5,
    "walker2d-e": 0.5,  # ours: as medium-expert
    "antmaze-u": 0.25,
    "antmaze-ud": 0.25,
    "antmaze-mp": 0.05,
    "antmaze-md": 0.025,
    "antmaze-lp": 0.025,
    "antmaze-ld": 0.025,
    "custom": 0.1,  # ours: as hopper-m
}


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="spot", variants=VARIANTS)
    antmaze = choice.is_antmaze
    config = common.shared_config(choice)
    config.dataset.normalize_states = not antmaze  # official and CORL
    config.dataset.reward_bias = -1.0 if antmaze else 0.0  # official and CORL
    config.density = {
        "hidden_sizes": (750, 750),  # official and CORL, as the rest of this group
        "learning_rate": 1e-3,
        "batch_size": 256,
        # Updates of the density model before the first one of actor and critics; the preset short has fewer.
        "num_updates": 100_000 // (common.SHORTENING if choice.preset == "short" else 1),
    }
    config.coefficient = common.coefficient_config()
    config.coefficient.update(
        {
            "kind": "constant",
            "base": _COEFFICIENTS[choice.task],
            # Only used by variant sa, all ours: as TD3+BC(SA) on most locomotion tasks.
            "learning_rate": 3e-8,
            "n_start": 1.0,
            "n_end": 3.0,
            "delta": 0.1,
            "mask_coefficient": False,
            "mask_regularizer": False,
            # Online the coefficient decays to 0.2 of its value. Official: within 1,000,000 steps whatever the length of
            # the run, so it ends at 0.75 after 250,000; CORL: within the run (decay_steps=250_000). The default is the
            # program of the algorithm's authors. On locomotion none was published: ours.
            "anneal": "linear",
            "decay_steps": 1_000_000,
            "anneal_floor": 0.2,
        }
    )
    config.critic = {
        "hidden_sizes": (256, 256),  # official and CORL
        "layer_norm": False,  # official and CORL
        "learning_rate": 3e-4,  # official and CORL
        "tau": 0.005,  # official and CORL: Polyak factor of all target networks
        "small_output": antmaze,  # official and CORL: whether the output layer is initialized within 0.003
    }
    config.actor = {
        "hidden_sizes": (256, 256),  # official and CORL
        "learning_rate": 1e-4 if antmaze else 3e-4,  # official and CORL
        "policy_freq": 2,  # official and CORL: critic updates per update of actor and targets
        "policy_noise": 0.2,  # official and CORL: on the actions of the target policy
        "noise_clip": 0.5,  # official and CORL
        # Official: 0.1 on locomotion, also in the target actor; CORL, which has AntMaze alone: none.
        "dropout": not antmaze,
        "small_output": antmaze,  # official and CORL: whether the output layer is initialized within 0.001
    }
    config.online.update(
        {
            "discount": placeholder(float),  # unset: the discount of the offline phase
            "warmup_steps": 0,  # official and CORL
            "reset_optimizer": True,  # CORL; official: False
            "buffer": "all",  # official and CORL
            "buffer_capacity": 2_500_000,  # ours: the largest dataset, 2,000,000 rows, and all online steps
            "policy_freq": 2,  # official and CORL
            "decouple_targets": False,  # official and CORL
            "noise": 0.1,  # official and CORL: exploration
        }
    )

    if antmaze:
        config.online.discount = 0.995  # CORL; official: only on the two large mazes

    if choice.variant == "sa":
        _use_adaptive_coefficient(config, choice)
    if choice.preset == "library":
        common.use_library_preset(config)
        config.actor.update({"dropout": False})  # the policy that is trained is the one that acts
    elif choice.preset == "short":
        common.use_short_preset(config)
    return config.lock()


def _use_adaptive_coefficient(config: common.Config, choice: common.Choice) -> None:
    """Turns the config into SPOT(SA), all ours.

    The selected transitions train the coefficient; the penalty acts in all states, because it draws the policy to the
    support of the data and not to the action of a row.
    """
    config.coefficient.kind = "state_adaptive"
    config.coefficient.mask_coefficient = True
    config.selection.rule = "success" if choice.is_antmaze else "top_fraction"

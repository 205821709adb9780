"""FamCQL: `configs/fam_cql.py:<task>[,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, or their D4RL names; `custom` for your own data
(`--config.dataset.path=my.hdf5`). FamCQL was never published on AntMaze, so there is no config for it.

Presets: `paper` is the published setting, `library` corrects the accidents of the published program, `short` is
the run shortened to 4,000 updates, for a first try.

Source: *official* is the program of FamO2O's authors (github.com/LeapLabTHU/FamO2O), one setting for the nine
datasets m, mr and me; using it for expert and custom data is our choice.
"""

from configs import common
from configs.cql import SHORTENING
from ssar_jax.errors import UserError

VARIANTS = ("base",)


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="fam_cql", variants=VARIANTS)
    if choice.is_antmaze:
        raise UserError(
            f"FamCQL was never published on AntMaze, so {choice.task} has no config: use a locomotion task such as "
            f"hopper-m, or configs/cql.py:{choice.task}"
        )
    config = common.shared_config(choice)
    config.num_updates = 2_000_000  # official
    config.dataset.normalize_states = False  # official
    config.dataset.clip_actions = 0.999  # official
    config.balance = {
        "hidden_sizes": (256, 256),  # official, as the rest of this group
        "learning_rate": 3e-4,
        # Offline the coefficients of the policy family are drawn from [low, high].
        "low": 0.5,
        "high": 1.5,
        # Range of the balance network: "intended" (low, high); "official" (2 low - high, high), since the program's
        # map expects outputs in (0, 1) but gets those of tanh.
        "map": "intended" if choice.preset == "library" else "official",
        # The state at which the coefficient of the policy at the next state is chosen.
        "next_coefficient": "current",
    }
    config.critic = {
        "hidden_sizes": (256, 256),  # official
        "layer_norm": True,  # official
        "learning_rate": 3e-4,  # official
        "tau": 0.005,  # official: Polyak factor of the target networks
        "num_actions": 10,  # official: sampled actions of each of the three kinds
        "penalty_weight": 1.0,  # official; CQL has 5
    }
    config.actor = {
        "hidden_sizes": (256, 256),  # official
        "learning_rate": 3e-4,  # official: also of the temperature
    }
    config.online.update(
        {
            "warmup_steps": 0,  # official
            "steps_between_updates": 1_000,  # official: 1,000 environment steps, then 1,000 updates
            "buffer": "all",  # official
            "buffer_capacity": 2_500_000,  # ours: the largest dataset, 2,000,000 rows, and all online steps
        }
    )

    if choice.preset == "library":
        common.use_library_preset(config)
    elif choice.preset == "short":
        common.use_short_preset(config, SHORTENING)
        config.online.steps_between_updates //= SHORTENING
    return config.lock()

"""FamCQL: `configs/fam_cql.py:<task>[,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, or their D4RL names; `custom` for data of your own
(`--config.dataset.path=my.hdf5`). Nobody published FamCQL on AntMaze, so there is no config for it.

Presets: `paper` repeats the published setting, `library` has the defaults of a clean implementation, `short`
plays the run in 4,000 updates, to see it work.

Source: *official* is the program of FamO2O's authors (github.com/LeapLabTHU/FamO2O), one setting for the nine
datasets m, mr and me; for expert and custom data it is ours to use it too.
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
            f"FamCQL was never published on AntMaze, so {choice.task} has no config: take a locomotion task such as "
            f"hopper-m, or configs/cql.py:{choice.task}"
        )
    config = common.shared_config(choice)
    config.num_updates = 2_000_000  # official
    config.dataset.normalize_states = False  # official
    config.dataset.clip_actions = 0.999  # official
    config.balance = {
        "hidden_sizes": (256, 256),  # official, like the rest of this group
        "learning_rate": 3e-4,
        # Offline the policy family learns for coefficients drawn from here.
        "low": 0.5,
        "high": 1.5,
        # What the balance network reaches: "official" its program's (2 low - high, high), "intended" (low, high).
        "map": "official",
        # Where the coefficient of the policy at the next state is chosen: at the "current" state or the "next".
        "next_coefficient": "current",
    }
    config.critic = {
        "hidden_sizes": (256, 256),  # official
        "layer_norm": True,  # official
        "learning_rate": 3e-4,  # official
        "tau": 0.005,  # official: Polyak factor of the targets
        "num_actions": 10,  # official: sampled actions of each of the three kinds
        "penalty_weight": 1.0,  # official, where plain CQL has 5
    }
    config.actor = {
        "hidden_sizes": (256, 256),  # official
        "learning_rate": 3e-4,  # official: of the temperature too
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

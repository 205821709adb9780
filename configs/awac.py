"""AWAC: `configs/awac.py:<task>[,variant=base][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Presets: `paper` is CORL's setting, `library` the same, `short` is the run shortened to 20,000 updates, for a first try.

Fine-tuning on locomotion is not in CORL: the online settings there are those of AntMaze.
"""

from configs import common

VARIANTS = ("base",)


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="awac", variants=VARIANTS)
    config = common.shared_config(choice)
    config.dataset.reward_bias = -1.0 if choice.is_antmaze else 0.0  # CORL
    config.critic = {
        "hidden_sizes": (256, 256, 256),  # CORL: of critics and actor
        "learning_rate": 3e-4,  # CORL: of critics and actor
        "tau": 0.005,  # CORL
    }
    config.actor = {
        "kl_weight": 0.1 if choice.is_antmaze else 0.3333,  # CORL: lambda, by which the advantage is divided
    }
    config.online.update(
        {
            "warmup_steps": 0,  # CORL
            "buffer": "all",  # CORL
            "buffer_capacity": 2_500_000,  # ours: the largest dataset, 2,000,000 rows, and all online steps
        }
    )
    if choice.preset == "library":
        common.use_library_preset(config)
    elif choice.preset == "short":
        common.use_short_preset(config)
    return config.lock()

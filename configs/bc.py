"""Behavior cloning: `configs/bc.py:<task>[,variant=base|top10][,preset=paper|library|short]`.

Tasks: `halfcheetah`, `hopper`, `walker2d` with `-m -mr -me -e`, `antmaze` with `-u -ud -mp -md -lp -ld`, or
their D4RL names; `custom` for your own data (`--config.dataset.path=my.hdf5`).

Variants: `base` clones all transitions, `top10` those of the best tenth of the trajectories (10 % BC).
`--config.dataset.keep_fraction` sets another fraction. It learns from a dataset alone, so there is no online phase.

Presets: `paper` is CORL's setting, `library` the same, `short` is the run shortened to 20,000 updates.
"""

from configs import common

VARIANTS = ("base", "top10")


def get_config(arg: str | None = None) -> common.Config:
    """Returns the locked config for `<task>[,variant=...][,preset=...]`."""
    choice = common.parse_arg(arg, algorithm="bc", variants=VARIANTS)
    config = common.shared_config(choice)
    config.actor = {
        "policy": "deterministic",  # CORL
        "hidden_sizes": (256, 256),  # CORL
        "learning_rate": 3e-4,  # CORL
    }
    if choice.variant == "top10":
        config.dataset.keep_fraction = 0.1  # CORL
    if choice.preset == "short":
        common.use_short_preset(config)
    return config.lock()

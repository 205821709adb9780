"""Scores a stored checkpoint of a run again, finished or not.

    python -m experiments.evaluate runs/td3_bc/hopper-m/offline-sa-short-s0-0 --episodes=100

prints a row for every seed and writes them, with the return of every episode, to
`evaluations/<step>-<physics>-<episodes>.json` in the run folder, or `...-s<seed>.json` for one seed. Episode i of seed
s starts as in every evaluation of the run, so with the run's own number of episodes the last checkpoint gets the
scores that eval.csv ends with.

    python -m experiments.evaluate <run folder> --video=run.mp4 --strip=run.png

films the first episode of the first seed as it is scored. Without a screen MuJoCo draws with EGL; MUJOCO_GL names
another library.
"""

import json
import os
from pathlib import Path
from typing import Any

from absl import flags

from experiments.cli import command, devices, films
from experiments.cli.integers import define_integer
from ssar_jax.data.files import require_writable, write_atomically
from ssar_jax.errors import UserError

_EPISODES = define_integer("episodes", None, "Episodes of each seed; by default as in the run.", lower_bound=1)
_STEP = define_integer("step", None, "Which checkpoint; by default the last.")
_SEED = define_integer("seed", None, "Which seed; by default all of the run.")
_PHYSICS = flags.DEFINE_enum("physics", None, ["d4rl-v2", "gymnasium"], "By default the run's own.")
_VIDEO = flags.DEFINE_string("video", None, "A .mp4 or .gif file to film an episode to.")
_STRIP = flags.DEFINE_string("strip", None, "A .png file for a row of pictures of an episode.")


def main(arguments: list[str]) -> None:
    """Evaluates a run, prints and writes its rows, and films it."""
    if len(arguments) != 1:
        raise UserError("name one run folder: python -m experiments.evaluate <run folder>")
    run, film = Path(arguments[0]), _VIDEO.value is not None or _STRIP.value is not None
    if film:
        _require_films()
    from ssar_jax.run_format import read_json
    from ssar_jax.runs.evaluate import rescore

    physics: Any = _PHYSICS.value  # one of the names that the flag lets pass
    if not (run / "config.json").exists():
        raise UserError(f"{run} is no run: it holds no config.json")
    devices.one_per_seed(read_json(run / "config.json").get("num_seeds", 1))  # `rescore` names what is missing
    require_writable(run / "evaluations", "copy the run to where you may write")
    content, filmed = rescore(
        run, step=_STEP.value, seed=_SEED.value, physics=physics, episodes=_EPISODES.value, film=film
    )
    print(f"checkpoint {content['step']:,} of {run}")
    _print_rows(content)
    one_seed = "" if _SEED.value is None else f"-s{_SEED.value}"
    name = f"{content['step']}-{content['physics']}-{content['episodes']}{one_seed}.json"
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_atomically(run / "evaluations" / name, lambda file: file.write(text.encode()))
    print(f"wrote {run / 'evaluations' / name}")
    if filmed is not None:
        _write_films(filmed)


def _require_films() -> None:
    """Requires what filming needs, before anything is evaluated."""
    if not any(name in os.environ for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY")):
        os.environ["MUJOCO_GL"] = "egl"  # MuJoCo, not imported yet, would look for a screen
    if _VIDEO.value is not None:
        films.require_video(Path(_VIDEO.value))
    if _STRIP.value is not None:
        films.require_strip(Path(_STRIP.value))
    films.require_drawing()


def _print_rows(content: dict[str, Any]) -> None:
    print(f"{'seed':>4}  {'return':>18}  {'score':>6}  {'length':>6}  {'episodes':>8}  {'data':8}  physics")
    for row in content["seeds"]:
        spread = f"{_number(row['return'])} ± {_number(row['return_std'])}"
        print(
            f"{row['seed']:>4}  {spread:>18}  {_number(row['score']):>6}  {_number(row['length']):>6}  "
            f"{content['episodes']:>8}  {content['data_source']:8}  {content['physics']}"
        )


def _number(value: float | None) -> str:
    """One digit after the point; a dash for a task without a scale, or a return that is no number."""
    return "-" if value is None else f"{value:.1f}"


def _write_films(filmed: Any) -> None:
    if _VIDEO.value is not None:
        films.write_video(Path(_VIDEO.value), filmed.pictures, filmed.pictures_per_second)
        print(f"wrote {_VIDEO.value}")
    if _STRIP.value is not None:
        films.write_strip(Path(_STRIP.value), filmed.pictures)
        print(f"wrote {_STRIP.value}")


if __name__ == "__main__":
    command.run(main)

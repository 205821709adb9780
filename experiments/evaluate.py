"""Evaluates a checkpoint of a finished or unfinished run.

    python -m experiments.evaluate runs/td3_bc/hopper-m/offline-sa-short-s0-0 --episodes=100

prints a row for every seed and writes the rows, with the return of every episode, to
`evaluations/<step>-<physics>-<episodes>.json` in the run folder, or `...-s<seed>.json` for one seed. Episode i of seed
s has the same start as in every evaluation of the run, so with the run's number of episodes the scores of the last
checkpoint are the last ones in eval.csv.

    python -m experiments.evaluate <run folder> --video=run.mp4 --strip=run.png

also films the first episode of the first seed. Without a display MuJoCo renders with EGL; MUJOCO_GL chooses another
library.
"""

import json
import os
from typing import Any

from absl import flags

from experiments.cli import command, devices, films
from experiments.cli.integers import define_integer
from ssar_jax.errors import UserError
from ssar_jax.files import exists, require_writable, resolve_path, write_atomically

_EPISODES = define_integer("episodes", None, "Episodes per seed; the default is that of the run.", lower_bound=1)
_STEP = define_integer("step", None, "Step of the checkpoint; the default is the latest.")
_SEED = define_integer("seed", None, "Seed to evaluate; the default is all seeds of the run.")
_PHYSICS = flags.DEFINE_enum("physics", None, ["d4rl-v2", "gymnasium"], "Physics; the default is that of the run.")
_VIDEO = flags.DEFINE_string("video", None, "A .mp4 or .gif file for a film of an episode.")
_FILM_EPISODE = define_integer("film_episode", 0, "Episode of the first seed to film, from 0.", lower_bound=0)
_STRIP = flags.DEFINE_string("strip", None, "A .png file for a row of frames of an episode.")


def main(arguments: list[str]) -> None:
    """Evaluates a run, prints and writes its rows, and films an episode.

    Args:
        arguments: the run folder.

    Raises:
        UserError: if the folder is not a run, or evaluation or filming is not possible.
    """
    if len(arguments) != 1:
        raise UserError("give one run folder: ssar-jax evaluate <run folder>")
    run, film = resolve_path(arguments[0]), _VIDEO.value is not None or _STRIP.value is not None
    if film:
        _require_films()
    from ssar_jax.run_format import read_json
    from ssar_jax.runs.evaluate import evaluate_checkpoint

    physics: Any = _PHYSICS.value  # the flag allows only valid names
    if not exists(run / "config.json"):
        raise UserError(f"{run} is not a run: it contains no config.json")
    # A missing field is reported by `evaluate_checkpoint`.
    devices.one_per_seed(read_json(run / "config.json").get("num_seeds", 1))
    require_writable(run / "evaluations", "copy the run to a folder where you may write")
    scores = evaluate_checkpoint(
        run,
        step=_STEP.value,
        seed=_SEED.value,
        physics=physics,
        episodes=_EPISODES.value,
        film=_FILM_EPISODE.value if film else None,
    )
    content = scores.content
    print(f"checkpoint {content['step']:,} of {run}")
    _print_rows(content)
    one_seed = "" if _SEED.value is None else f"-s{_SEED.value}"
    name = f"{content['step']}-{content['physics']}-{content['episodes']}{one_seed}.json"
    text = json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n"
    write_atomically(run / "evaluations" / name, lambda file: file.write(text.encode()))
    print(f"wrote {run / 'evaluations' / name}")
    if scores.film is not None:
        if scores.floor is not None:
            low, high = scores.floor.limits
            print(f"color of the floor: mean beta(s) of the data there, from {low:.4g} (blue) to {high:.4g} (orange)")
        _write_films(scores.film)


def _require_films() -> None:
    """Requires everything that filming needs, before the evaluation."""
    if not any(name in os.environ for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY")):
        os.environ["MUJOCO_GL"] = "egl"  # without it MuJoCo, which is not imported yet, looks for a display
    if _VIDEO.value is not None:
        films.require_video(resolve_path(_VIDEO.value))
    if _STRIP.value is not None:
        films.require_strip(resolve_path(_STRIP.value))
    films.require_drawing()


def _print_rows(content: dict[str, Any]) -> None:
    success = "success_rate" in content["seeds"][0]
    title = f"{'seed':>4}  {'return':>18}  {'score':>6}  {'length':>6}  {'episodes':>8}  {'data':8}  {'physics':9}"
    print(f"{title}  success" if success else title.rstrip())
    for row in content["seeds"]:
        spread = f"{_number(row['return'])} ± {_number(row['return_std'])}"
        line = (
            f"{row['seed']:>4}  {spread:>18}  {_number(row['score']):>6}  {_number(row['length']):>6}  "
            f"{content['episodes']:>8}  {content['data_source']:8}  {content['physics']:9}"
        )
        print(f"{line}  {100.0 * row['success_rate']:.0f} %" if success else line.rstrip())


def _number(value: float | None) -> str:
    """Formats a number with one decimal; a dash stands for None (no reference returns, or NaN)."""
    return "-" if value is None else f"{value:.1f}"


def _write_films(film: Any) -> None:
    if _VIDEO.value is not None:
        path = resolve_path(_VIDEO.value)
        films.write_video(path, film.pictures, film.pictures_per_second)
        print(f"wrote {path}")
    if _STRIP.value is not None:
        path = resolve_path(_STRIP.value)
        films.write_strip(path, film.pictures)
        print(f"wrote {path}")


if __name__ == "__main__":
    command.run(main)

"""Planned runs for the tests of sweeps: real plans, and runs that are tiny programs."""

import json
import sys
from dataclasses import dataclass

from experiments.cli import children
from experiments.sweeping.plan import PlannedRun, Settings, make_plan


def plan(root, systems="td3_bc", tasks="hopper-m", without=(), **changes):
    """Makes a plan of the short preset below a folder; systems and tasks are separated by commas."""
    settings = Settings(preset="short", phase="offline", seed=0, num_seeds=1, overrides=(), root=root)._replace(
        **changes
    )
    return make_plan(*(names.split(",") if names else [] for names in (systems, tasks)), settings, without)


def begin(run, **changes):
    """Writes the folder of a run that has started, with some fields of its config changed."""
    run.folder.mkdir(parents=True)
    (run.folder / "config.json").write_text(json.dumps(run.config.to_dict() | changes))


def finish(run, device="2 x cpu", **summary):
    """Writes the folder of a finished run, with everything that reports and estimates read."""
    begin(run)
    config = run.config.to_dict()
    content = {
        **{name: config[name] for name in ("algorithm", "variant", "preset", "task", "num_updates")},
        **{"phase": run.phase, "data_source": "embedded", "physics": "d4rl-v2", "seeds": [0]},
        **{"final_score": [51.26], "final_score_mean": 51.26, "final_score_std": 1.0},
        **{"updates_per_second": 100.0, "stopped_seeds": {}, "versions": {"device": device}},
    }
    (run.folder / "summary.json").write_text(json.dumps(content | summary))
    (run.folder / "eval.csv").write_text(f"phase,step,environment_steps,seed,score\n{run.phase},1,1,0,51.26\n")


def diverge(folder, seeds=(0,)):
    """Marks the run in a folder as one whose seeds were stopped by step 700."""
    (folder / "stopped.json").write_text(json.dumps({str(seed): {"step": 700} for seed in seeds}))


@dataclass(frozen=True)
class ProgramRun(PlannedRun):
    """A run whose process executes a few lines of Python; in them, `resumed` is whether the run had started before."""

    program: str = ""

    def command(self):
        prelude = (
            "import json, os, pathlib, signal, sys, time\n"
            f"folder = pathlib.Path({str(self.folder)!r}); resumed = {self.state() == 'begun'}\n"
            "folder.mkdir(parents=True, exist_ok=True); (folder / 'config.json').write_text('{}')\n"
            "def finish(): (folder / 'summary.json').write_text("
            "json.dumps({'final_score_mean': 51.26, 'final_score_std': None}))\n"
        )
        return [sys.executable, "-S", "-c", prelude + self.program]


@dataclass
class Machine:
    """An engine for estimates and tables, which starts nothing."""

    jobs: int = 1
    cores: int = 1
    gpus: float = 0.0
    place: str = "this machine"
    measures: bool = True
    memory_bytes: int | None = None
    ask = staticmethod(children.ask)

"""Plans of sweeps: their runs and folders, and errors before anything starts."""

import sys

import pytest

from experiments.cli.config_files import load_config
from experiments.cli.overrides import apply_overrides, split_overrides
from experiments.sweeping import paper
from tests.data.helpers import user_error
from tests.experiments.sweeping.sweeps import begin, diverge, finish, plan


def test_a_run_for_every_system_on_every_task(tmp_path):
    runs = plan(tmp_path, "td3_bc,td3_bc:base,cql", "hopper-m,antmaze-u", num_seeds=5)
    assert [str(run.folder.relative_to(tmp_path)) for run in runs] == [
        "td3_bc/hopper-m/offline-sa-short-s0-4",
        "td3_bc/antmaze-u/offline-sa-short-s0-4",
        "td3_bc/hopper-m/offline-base-short-s0-4",
        "td3_bc/antmaze-u/offline-base-short-s0-4",
        "cql/hopper-m/offline-sa-short-s0-4",
        "cql/antmaze-u/offline-sa-short-s0-4",
    ]
    assert [run.name for run in runs][2] == "td3_bc:base hopper-m offline"


def test_the_command_makes_the_planned_config(tmp_path):
    overrides = (("batch_size", "64"), ("dataset.normalize_states", None), ("critic.hidden_sizes", "(8,)"))
    (run,) = plan(tmp_path, "td3_bc:base", seed=3, num_seeds=2, overrides=overrides)
    assert run.command()[:3] == [sys.executable, "-m", "ssar_jax"]
    fields, (source, workdir) = split_overrides(run.command()[4:])
    config = load_config(source.removeprefix("--config="))
    apply_overrides(config, fields)
    assert config.to_dict() == run.config.to_dict()
    assert (config.variant, config.seed, config.num_seeds, config.batch_size) == ("base", 3, 2, 64)
    assert workdir == f"--workdir={tmp_path / 'td3_bc/hopper-m/offline-base-short-s3-4'}"


def test_the_online_phase_comes_after_the_offline_one(tmp_path):
    offline, online = plan(tmp_path, phase="online")
    assert (offline.phase, online.phase) == ("offline", "online")
    assert online.offline == offline.folder
    assert online.folder == tmp_path / "td3_bc/hopper-m/online-sa-short-s0-0"
    assert f"--offline_run={offline.folder}" in online.command()
    assert online.total_steps() == 250_000 // 50  # the paper's steps in the short preset
    assert offline.total_steps() == 1_000_000 // 50


def test_every_run_reports_to_the_dashboards(tmp_path):
    runs = plan(tmp_path, phase="online", dashboards=["tensorboard", "wandb"])
    assert [run.command().count("--log=tensorboard,wandb") for run in runs] == [1, 1]
    assert not any("--log" in part for run in plan(tmp_path) for part in run.command())


def test_the_state_of_a_run_is_read_from_its_folder(tmp_path):
    (run,) = plan(tmp_path)
    assert (run.state(), run.steps_done(), run.score()) == ("new", 0, "")
    assert "--resume" not in run.command()
    begin(run)
    for name in ("5000", "15000", "20000.orbax-checkpoint-tmp"):
        (run.folder / "checkpoints" / name).mkdir(parents=True)
    assert (run.state(), run.steps_done()) == ("begun", 15_000)
    assert run.command()[-1] == "--resume"
    assert run.command_text().startswith("python -m ssar_jax offline --config=configs/td3_bc.py:hopper-m,preset=sho")


def test_a_run_whose_seeds_have_all_diverged_is_not_resumed(tmp_path):
    """Seeds 3 and 4: with both stopped it has ended, and its command replaces nothing unless --overwrite is added."""
    (run,) = plan(tmp_path, seed=3, num_seeds=2)
    begin(run)
    for seeds, state in (((3,), "begun"), ((3, 4), "diverged")):
        diverge(run.folder, seeds)
        assert plan(tmp_path, seed=3, num_seeds=2)[0].state() == state
    assert not {"--resume", "--overwrite"} & set(run.command())
    (run.folder / "summary.json").write_text("{}")
    assert run.state() == "finished"


@pytest.mark.parametrize(
    ("summary", "score"),
    [
        ({"final_score_mean": 51.26, "final_score_std": 1.0}, "51.3 ± 1.0"),
        ({"final_score_mean": 51.26, "final_score_std": None}, "51.3"),
        ({"final_score_mean": None, "final_score_std": None}, "-"),
    ],
)
def test_a_finished_run_has_its_score(tmp_path, summary, score):
    (run,) = plan(tmp_path)
    finish(run, **summary)
    assert (run.state(), run.score()) == ("finished", score)
    assert plan(tmp_path)[0].folder == run.folder  # it can be planned again


@pytest.mark.parametrize(
    ("systems", "tasks", "message"),
    [
        ("", "hopper-m", "no --systems: name them, such as --systems=td3_bc,td3_bc:base"),
        ("td3_bc", "", "no --tasks"),
        ("td3bc", "hopper-m", "unknown system 'td3bc'; did you mean td3_bc?"),
        (
            "sac",
            "hopper-m",
            "unknown system 'sac'; known are awac, bc, cal_ql, cql, edac, fam_cql, iql, rebrac, spot, td3_bc",
        ),
        ("td3_bc:bas", "hopper-m", "unknown variant 'bas'; td3_bc has sa, base, base_ln; did you mean base"),
        ("td3_bc", "hoper-m", "unknown task 'hoper-m'; nearest: hopper-m"),
        ("td3_bc,td3_bc:sa", "hopper-m", "td3_bc hopper-m offline and td3_bc:sa hopper-m offline are the same run"),
        ("td3_bc", "custom", "td3_bc on custom: "),
    ],
)
def test_an_invalid_plan_is_one_line(tmp_path, systems, tasks, message):
    with user_error(message):
        plan(tmp_path, systems, tasks)
    assert not any(tmp_path.iterdir())


def test_a_field_that_one_system_lacks_names_it(tmp_path):
    with user_error("iql on hopper-m: unknown field --config.coefficient.n_end"):
        plan(tmp_path, "td3_bc,iql", overrides=(("coefficient.n_end", "2"),))


def test_a_folder_with_another_run_is_refused(tmp_path):
    (run,) = plan(tmp_path)
    begin(run, batch_size=64)
    with user_error(f"{run.folder} holds a run with another config: batch_size was 64, is 256", "--runs"):
        plan(tmp_path)


def test_a_finished_offline_run_may_differ_in_online_settings(tmp_path):
    (run,) = plan(tmp_path)
    finish(run)
    longer = (("online.num_steps", "9000"),)
    assert len(plan(tmp_path, phase="online", overrides=longer)) == 2
    with user_error("has another config: batch_size was 256, is 64"):
        plan(tmp_path, phase="online", overrides=(("batch_size", "64"),))


def test_a_dataset_that_has_moved_is_compared_by_the_run_that_continues(tmp_path):
    """Without a record of its content, and for a finished run, which compares nothing, another place is refused."""
    (run,) = plan(tmp_path)
    moved = (("dataset.path", str(tmp_path / "moved.hdf5")),)
    begin(run)
    with user_error(f"dataset.path was None, is {tmp_path / 'moved.hdf5'}"):
        plan(tmp_path, overrides=moved)
    (run.folder / "data.json").write_text("{}")
    assert plan(tmp_path, overrides=moved)[0].state() == "begun"
    (run.folder / "summary.json").write_text("{}")
    with user_error(f"dataset.path was None, is {tmp_path / 'moved.hdf5'}"):
        plan(tmp_path, overrides=moved)


def test_seeds_are_divided_into_runs(tmp_path):
    """Five seeds from 3 on, two per run."""
    runs = plan(tmp_path, phase="online", seed=3, num_seeds=5, seeds_per_run=2)
    assert [run.folder.name for run in runs] == [
        f"{phase}-sa-short-{seeds}" for seeds in ("s3-4", "s5-6", "s7-7") for phase in ("offline", "online")
    ]
    assert [run.name for run in runs[::2]] == [
        f"td3_bc hopper-m offline {s}" for s in ("seeds 3-4", "seeds 5-6", "seed 7")
    ]
    assert [(run.config.seed, run.config.num_seeds) for run in runs[1::2]] == [(3, 2), (5, 2), (7, 1)]
    assert runs[3].offline == runs[2].folder


def test_the_offline_table_of_the_paper(tmp_path):
    """Four systems on 18 tasks; its averages are not run."""
    runs = plan(tmp_path, ",".join(paper.systems("offline")), ",".join(paper.tasks("offline")), num_seeds=5)
    assert len(runs) == 4 * 18
    assert [run.system for run in runs[::18]] == ["td3_bc:base", "td3_bc:sa", "cql:base", "cql:sa"]


def test_the_online_table_of_the_paper(tmp_path):
    """Seven systems on 18 tasks in two phases; it has no FamCQL on the six tasks of AntMaze."""
    without = paper.empty_cells("online")
    runs = plan(tmp_path, ",".join(paper.systems("online")), ",".join(paper.tasks("online")), without, phase="online")
    assert len(runs) == 2 * (7 * 18 - 6)
    assert without == {("fam_cql:base", f"antmaze-{maze}") for maze in ("u", "ud", "mp", "md", "lp", "ld")}

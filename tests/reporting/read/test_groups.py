"""Which runs belong together, and which offline phase an online one continues."""

import shutil

import numpy as np

from ssar_jax.reporting.read import folders, groups
from tests.reporting.report_runs import KEY, add_evaluations, groups_of, write_run


def test_runs_of_other_seeds_are_put_together(tmp_path):
    """Seeds, checkpoint settings and, offline, online settings do not make another group."""
    write_run(tmp_path / "a")
    other = {"seed": 2, "num_seeds": 1, "checkpoint": {"keep": 9}, "online": {"part_k": 1}}
    write_run(tmp_path / "b", {0: (5.0,), 20_000: (6.0,)}, config=other, summary={"seeds": [2]})
    (group,), skipped = groups_of(tmp_path)
    assert (group.key, group.note, len(group.runs), skipped) == (KEY, "", 2, [])
    curve = group.curve()
    assert curve.seeds == (0, 1, 2)
    np.testing.assert_array_equal(curve.steps, [0, 10_000, 20_000])
    np.testing.assert_array_equal(curve.values, [[1.0, 90.0, 20.0], [2.0, 10.0, 30.0], [5.0, np.nan, 6.0]])


def test_repeated_seeds_count_once(tmp_path):
    first = write_run(tmp_path / "a")
    shutil.copytree(first, tmp_path / "b")
    (group,), ((path, reason, _),) = groups_of(tmp_path)
    assert [run.path for run in group.runs] == [first]
    assert (path, reason) == (tmp_path / "b", f"repeats seeds of {first}")


def test_runs_with_different_keys_are_separate_groups(tmp_path):
    changes = {name: f"other {name}" for name in ("algorithm", "variant", "preset", "task", "data_source", "physics")}
    for name, value in changes.items():
        write_run(tmp_path / name, summary={name: value})
    found, skipped = groups_of(tmp_path)
    assert (len(found), skipped) == (6, [])
    assert [group.key for group in found] == sorted(KEY._replace(**{name: value}) for name, value in changes.items())
    assert {group.note for group in found} == {""}


def test_runs_of_one_key_with_other_settings_or_data_are_not_mixed(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", config={"critic": {"tau": 0.01}})
    write_run(tmp_path / "c", summary={"dataset_hash": "def"})
    found, skipped = groups_of(tmp_path)
    assert [group.note for group in found] == [
        "critic.tau=0.005, dataset_hash=abc",
        "critic.tau=0.01, dataset_hash=abc",
        "critic.tau=0.005, dataset_hash=def",
    ]
    assert skipped == []


def test_runs_on_the_same_data_in_different_places_are_pooled(tmp_path):
    """As on the machines of a cluster; where the content is unknown, another place may be other data."""
    for seed, (place, content) in enumerate((("/a/x.npz", "abc"), ("/b/y.npz", "abc"), ("/c/x.npz", None))):
        config = {"seed": seed, "num_seeds": 1, "dataset": {"path": place}}
        summary = {"seeds": [seed], "dataset_hash": content}
        write_run(tmp_path / str(seed), {0: (1.0,)}, config=config, summary=summary)
    found, skipped = groups_of(tmp_path)
    assert [group.seeds for group in found] == [(0, 1), (2,)]
    assert skipped == []


def test_a_new_field_that_is_unset_does_not_separate_runs_of_older_versions(tmp_path):
    """A field that is set does."""
    for seed, evaluation in enumerate(({}, {"max_episode_steps": None}, {"max_episode_steps": 9})):
        config = {"seed": seed, "num_seeds": 1, "evaluation": evaluation}
        write_run(tmp_path / str(seed), {0: (1.0,)}, config=config, summary={"seeds": [seed]})
    found, skipped = groups_of(tmp_path)
    assert [(group.seeds, group.note) for group in found] == [
        ((0, 1), "evaluation.max_episode_steps=None"),
        ((2,), "evaluation.max_episode_steps=9"),
    ]
    assert skipped == []


def test_fields_that_change_no_number_do_not_separate_runs(tmp_path):
    for seed, evaluation in enumerate(({}, {"overlap": "on"}, {"overlap": "off"})):
        config = {"seed": seed, "num_seeds": 1, "evaluation": evaluation}
        write_run(tmp_path / str(seed), {0: (1.0,)}, config=config, summary={"seeds": [seed]})
    found, skipped = groups_of(tmp_path)
    assert [group.seeds for group in found] == [(0, 1, 2)]
    assert skipped == []


def test_departures_from_the_preset_are_named(tmp_path):
    """The updates that were made count and not those asked for; a field of the run's alone counts too."""
    run = folders.read_runs(write_run(tmp_path / "a", config={"critic": {"tau": 0.01, "mine": True}}))[0][0]
    preset = run.config | {"num_updates": 20_000, "critic": {"tau": 0.005, "later": 1}}
    preset |= {"seed": 9, "online": {"part_k": 9}}
    ((group,), _), ((unknown,), _) = groups.group_runs([run], lambda run: preset), groups.group_runs([run])
    assert group.departures == "critic.mine=True, critic.tau=0.01"
    assert (unknown.departures, group.note) == ("", "")
    preset["num_updates"] += 1
    ((group,), _) = groups.group_runs([run], lambda run: preset)
    assert group.departures == "critic.mine=True, critic.tau=0.01, offline_updates=20000"
    summary = {"phase": "online", "num_updates": 25_000, "online_updates": 5_000}
    online = folders.read_runs(write_run(tmp_path / "b", phase="online", summary=summary))[0][0]
    preset = online.config | {"num_updates": 20_000, "online": {"part_k": 9}}
    ((group,), _) = groups.group_runs([online], lambda run: preset)
    assert group.departures == "online.part_k=50"


def test_online_runs_differ_by_their_online_settings(tmp_path):
    for name, part_k in (("a", 50), ("b", 1)):
        path = write_run(tmp_path / name, config={"online": {"part_k": part_k}}, summary={"phase": "online"})
        add_evaluations(path, "online", {0: (1.0, 2.0)}, [0, 1])
    assert [group.note for group in groups_of(tmp_path)[0]] == ["online.part_k=50", "online.part_k=1"]


def test_online_runs_after_different_offline_runs_are_not_mixed(tmp_path):
    """25,000 - 5,000 and 15,000 - 5,000 updates before; the online config does not matter."""
    for name, seeds, num_updates in (("a", [0, 1], 25_000), ("b", [2, 3], 15_000), ("c", [4, 5], 25_000)):
        summary = {"phase": "online", "seeds": seeds, "num_updates": num_updates, "online_updates": 5_000}
        write_run(tmp_path / name, config={"num_updates": len(name)}, summary=summary, phase="online")
    write_run(tmp_path / "d", config={"num_updates": 7}, summary=summary | {"seeds": [6, 7]}, phase="online")
    found, _ = groups_of(tmp_path)
    assert [(group.note, group.seeds) for group in found] == [
        ("offline_updates=20000", (0, 1, 4, 5, 6, 7)),
        ("offline_updates=10000", (2, 3)),
    ]


def test_a_long_note_has_a_number_for_a_tag(tmp_path):
    """The same settings have the same number on either task; a short note is its own tag."""
    layers = {"sizes": [256] * 10}
    for task in ("hopper-m", "walker2d-m"):
        for name, config in (("a", {"critic": layers}), ("b", {"critic": {"sizes": [9] * 20}})):
            write_run(tmp_path / task / name, config=config, summary={"task": task})
    for name, tau in (("a", 0.1), ("b", 0.2)):
        write_run(tmp_path / name, config={"critic": {"tau": tau}}, summary={"task": "antmaze-u"})
    found, _ = groups_of(tmp_path)
    assert [(group.key.task, group.tag) for group in found] == [
        *(("antmaze-u", f"critic.tau={tau}") for tau in (0.1, 0.2)),
        *((task, tag) for task in ("hopper-m", "walker2d-m") for tag in ("#1", "#2")),
    ]
    assert found[2].note == found[4].note == f"critic.sizes={[256] * 10}"


def write_both_phases(path, *, offline=(), online=()):
    """Two runs of 20,000 offline updates, the second with 5,000 online ones more."""
    write_run(path / "offline", config=offline)
    summary = {"phase": "online", "num_updates": 25_000, "online_updates": 5_000}
    second = write_run(path / "online", config=online, summary=summary)
    add_evaluations(second, "online", {0: (20.0, 31.0), 5_000: (40.0, 50.0)}, [0, 1])


def test_an_online_phase_finds_the_offline_one(tmp_path):
    """Evaluation and online settings may differ, since the offline phase does not depend on them."""
    write_both_phases(tmp_path, online={"online": {"part_k": 7}, "preset": "other", "evaluation": {"episodes": 3}})
    (offline, online), _ = groups_of(tmp_path)
    assert groups.offline_phase(online, [online, offline]) is offline
    assert groups.offline_phase(online, [online]) is None


def test_an_online_phase_of_another_offline_run_finds_none(tmp_path):
    write_both_phases(tmp_path / "tau", offline={"critic": {"tau": 0.01}})
    write_both_phases(tmp_path / "updates", online={"num_updates": 1})
    shutil.rmtree(tmp_path / "updates" / "offline")
    found, _ = groups_of(tmp_path / "tau")
    assert groups.offline_phase(found[1], found) is None
    (online,), _ = groups_of(tmp_path / "updates")
    write_run(tmp_path / "fewer", summary={"num_updates": 19_999})
    write_run(tmp_path / "seeds", summary={"seeds": [2, 3]})
    others = [groups_of(tmp_path / name)[0][0] for name in ("fewer", "seeds")]
    assert groups.offline_phase(online, others) is None

"""Dividing GPUs among jobs, without CUDA."""

import pytest

from experiments.sweeping import devices


@pytest.fixture(autouse=True)
def _four(monkeypatch, tmp_path):
    """A machine with four GPUs, of which a container may see files with other numbers."""
    for name in ("nvidia0", "nvidia1", "nvidia4", "nvidia7", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.setattr(devices, "_DEVICE_FILES", tmp_path)
    for name in ("CUDA_VISIBLE_DEVICES", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.delenv(name, raising=False)


def test_gpus_are_counted_or_named_by_the_environment(monkeypatch):
    assert devices.visible() == ["0", "1", "2", "3"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1, MIG-2")
    assert devices.visible() == ["MIG-1", "MIG-2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert devices.visible() == []


@pytest.mark.parametrize(("jobs", "shares"), [(2, ["0,1", "2,3"]), (3, ["0", "1", "2,3"]), (4, ["0", "1", "2", "3"])])
def test_every_job_has_its_own_gpus(jobs, shares):
    assert devices.divide(jobs) == [{"CUDA_VISIBLE_DEVICES": share} for share in shares]


def test_one_job_has_all_that_the_user_gives_it():
    assert devices.divide(1) == [{}]


def test_jobs_that_share_a_gpu_do_not_allocate_all_of_it(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    name = "XLA_PYTHON_CLIENT_PREALLOCATE"
    assert devices.divide(3) == [{"CUDA_VISIBLE_DEVICES": number, name: "false"} for number in ("2", "3", "2")]
    monkeypatch.setenv(name, "true")
    assert devices.divide(3)[0][name] == "true"


def test_without_gpus_nothing_is_chosen(monkeypatch, tmp_path):
    """An accelerator of another kind is shared."""
    monkeypatch.setattr(devices, "_DEVICE_FILES", tmp_path / "none")
    assert devices.divide(2) == [{"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}] * 2

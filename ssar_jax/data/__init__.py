"""Offline data: tasks, datasets, their sources, scaling and selection, in NumPy alone."""

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.scaling import ObservationScaling, PreparedData, RewardMap, prepare
from ssar_jax.data.selection import (
    Selection,
    keep_best,
    select_all,
    select_by_return,
    select_successful,
    select_top_fraction,
)
from ssar_jax.data.sources.find import load_dataset
from ssar_jax.data.tasks import TASKS, Task, custom_task, get_task

__all__ = [
    "TASKS",
    "ActionScaling",
    "DataSource",
    "ObservationScaling",
    "OfflineDataset",
    "PreparedData",
    "RewardMap",
    "Selection",
    "Task",
    "custom_task",
    "get_task",
    "keep_best",
    "load_dataset",
    "prepare",
    "select_all",
    "select_by_return",
    "select_successful",
    "select_top_fraction",
]

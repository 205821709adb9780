"""Offline data: tasks, datasets and their sources, scaling, and selection. No jax in here."""

from ssar_jax.data.actions import ActionScaling
from ssar_jax.data.d4rl_files import D4RL_BASE_URL, D4RLFile
from ssar_jax.data.dataset import DataSource, OfflineDataset
from ssar_jax.data.scaling import (
    ObservationScaling,
    PreparedData,
    RewardMap,
    Transitions,
    prepare,
    range_scale,
    reward_range,
)
from ssar_jax.data.segments import Segments
from ssar_jax.data.selection import (
    Selection,
    keep_best,
    segments,
    select_all,
    select_by_return,
    select_successful,
    select_top_fraction,
)
from ssar_jax.data.sources.d4rl import d4rl_directory, find_file, load_d4rl, read_hdf5, verify_file
from ssar_jax.data.sources.download import Downloaded, download
from ssar_jax.data.sources.embedded import EMBEDDED_NAMESPACE, default_num_steps, embedded_description, embedded_id
from ssar_jax.data.sources.find import SOURCES, Source, load_dataset, read_path
from ssar_jax.data.sources.minari import (
    has_minari,
    minari_directory,
    read_minari,
    read_minari_metadata,
)
from ssar_jax.data.sources.minari_writing import Episode, delete_minari, write_minari
from ssar_jax.data.tasks import CUSTOM, TASKS, Task, custom_task, get_task

__all__ = [
    "CUSTOM",
    "D4RL_BASE_URL",
    "EMBEDDED_NAMESPACE",
    "SOURCES",
    "TASKS",
    "ActionScaling",
    "D4RLFile",
    "DataSource",
    "Downloaded",
    "Episode",
    "ObservationScaling",
    "OfflineDataset",
    "PreparedData",
    "RewardMap",
    "Segments",
    "Selection",
    "Source",
    "Task",
    "Transitions",
    "custom_task",
    "d4rl_directory",
    "default_num_steps",
    "delete_minari",
    "download",
    "embedded_description",
    "embedded_id",
    "find_file",
    "get_task",
    "has_minari",
    "keep_best",
    "load_d4rl",
    "load_dataset",
    "minari_directory",
    "prepare",
    "range_scale",
    "read_hdf5",
    "read_minari",
    "read_minari_metadata",
    "read_path",
    "reward_range",
    "segments",
    "select_all",
    "select_by_return",
    "select_successful",
    "select_top_fraction",
    "verify_file",
    "write_minari",
]

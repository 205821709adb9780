"""Is a Minari dataset from the environment of a task? Sizes do not tell: halfcheetah and walker2d have the same."""

from pathlib import Path

from ssar_jax.data.sources.embedded import EMBEDDED_NAMESPACE
from ssar_jax.data.sources.minari import describe_minari, read_minari_metadata
from ssar_jax.data.tasks import CUSTOM, Task
from ssar_jax.errors import UserError


def require_origin(dataset: Path, task: Task) -> None:
    """Require that a Minari dataset is from the environment of one of the 18 tasks, in any version and of any quality.

    Minari's own AntMaze measures positions from the maze's center and mirrors the y axis, so it is another environment
    than D4RL's. A dataset that names no environment is accepted, except for such an AntMaze.

    Args:
        dataset: A Minari id, or the folder of a dataset.
        task: The task. A custom one evaluates where its owner says, and is not checked.

    Raises:
        UserError: The dataset is from another environment, or its metadata are damaged.
    """
    if task.agent == CUSTOM or task.environment is None:
        return
    origin = _origin(dataset)
    if origin is not None and not origin.lower().startswith(task.environment):
        raise UserError(
            f"{dataset} is from {origin}, but task {task.name} evaluates in D4RL's {task.environment}: choose task "
            "custom, which evaluates in the dataset's own environment"
        )


def _origin(dataset: Path) -> str | None:
    """Return the environment that a dataset is from; None if it does not tell."""
    description = describe_minari(dataset)
    if description.environment_id is not None:
        return description.environment_id
    namespace, _, name = str(read_minari_metadata(dataset).get("dataset_id", "")).partition("/")
    if namespace == EMBEDDED_NAMESPACE:
        return name.replace("/", "-")
    # The observations of D4RL's tasks are vectors; dictionaries with a goal are those of Minari's AntMaze.
    return None if description.layout is None else f"an environment with the observations {description.layout}"

"""Downloads official D4RL files: `python -m experiments.download hopper-m walker2d-m`, or `all`."""

from experiments.cli import command
from ssar_jax.data.sources.download import download
from ssar_jax.data.tasks import TASKS, get_task
from ssar_jax.errors import UserError


def main(names: list[str]) -> None:
    """Downloads the files of some tasks, one after the other.

    Args:
        names: short names of tasks, or only `all`.

    Raises:
        UserError: if no task is named, a name is unknown, or a download fails.
    """
    if not names:
        raise UserError("name at least one task, such as `ssar-jax download hopper-m`, or all")
    tasks = TASKS if names == ["all"] else [get_task(name) for name in names]
    for task in tasks:
        path, fetched = download(task)
        print(f"{task.name}: {'downloaded to' if fetched else 'already there, verified:'} {path}", flush=True)


if __name__ == "__main__":
    command.run(main)

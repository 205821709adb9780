"""TensorBoard event files, written without TensorFlow."""

from collections.abc import Mapping, Sequence
from pathlib import Path

_FLUSH_SECONDS = 10
"""Maximum delay in seconds until a running TensorBoard shows a row."""


class TensorBoardLog:
    """Writes one TensorBoard run per seed, in `tensorboard/seed-<seed>` of the run folder.

    Args:
        folder: the run folder.
        seeds: the seeds of the run.
    """

    def __init__(self, folder: Path, seeds: Sequence[int]) -> None:
        from tensorboardX import SummaryWriter

        self._writers = {
            # A resumed run writes all its rows again, so TensorBoard must drop those of older files from step 0 on.
            seed: SummaryWriter(str(folder / "tensorboard" / f"seed-{seed}"), purge_step=0, flush_secs=_FLUSH_SECONDS)
            for seed in seeds
        }

    def add(self, step: int, seed: int, scalars: Mapping[str, float]) -> None:
        """Adds one point to the curve of each tag.

        Args:
            step: step of the point.
            seed: seed of the curves.
            scalars: tag -> value.
        """
        for tag, value in scalars.items():
            self._writers[seed].add_scalar(tag, value, step)

    def close(self) -> None:
        """Writes all pending points and closes the files."""
        for writer in self._writers.values():
            writer.close()

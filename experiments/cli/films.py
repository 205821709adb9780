"""Videos and strips of pictures as files, and checks that they can be made. Does not import MuJoCo."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np

from experiments.cli import children
from ssar_jax.errors import UserError
from ssar_jax.files import require_writable_file, write_atomically

_GAP = 4  # white pixels between the pictures of a strip

_DRAW = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, 16).render()"


def require_drawing() -> None:
    """Requires that MuJoCo can draw with the library that MUJOCO_GL names.

    A subprocess tries it, because a missing library breaks the import of MuJoCo.

    Raises:
        UserError: with the message of the library.
    """
    result = subprocess.run([sys.executable, "-c", _DRAW], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = children.reason(result.returncode, result.stderr)
        raise UserError(
            f"MuJoCo cannot draw here with MUJOCO_GL={os.environ.get('MUJOCO_GL', '')} ({reason}): set it to egl, "
            "osmesa or glfw and install that library (Debian: libegl1, libosmesa6), or film on another machine"
        )


def require_video(path: Path) -> None:
    """Requires that a video can be written.

    Args:
        path: path of the video.

    Raises:
        UserError: if the suffix is not `.gif` or `.mp4`, the folder cannot be written, or the encoder of `.mp4` is not
            installed.
    """
    if path.suffix not in (".gif", ".mp4"):
        raise UserError(f"--video={path} must end in .gif or .mp4")
    require_writable_file(path, "choose another --video")
    if path.suffix == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise UserError(f"{path} needs the package imageio-ffmpeg: pip install -e '.[video]', or write a .gif")


def require_strip(path: Path) -> None:
    """Requires that a strip of pictures can be written.

    Args:
        path: path of the strip.

    Raises:
        UserError: if the suffix is not `.png`, or the folder cannot be written.
    """
    if path.suffix != ".png":
        raise UserError(f"--strip={path} must end in .png")
    require_writable_file(path, "choose another --strip")


def write_video(path: Path, pictures: Sequence[np.ndarray], pictures_per_second: float) -> None:
    """Writes a video.

    Args:
        path: a path that ends in `.gif` or `.mp4`.
        pictures: the frames, [H, W, 3] of type uint8.
        pictures_per_second: frame rate in 1/s.

    Raises:
        UserError: if the file cannot be written.
    """
    is_gif = path.suffix == ".gif"
    timing: dict[str, Any] = (
        {"duration": 1e3 / pictures_per_second, "loop": 0} if is_gif else {"fps": pictures_per_second}
    )
    write_atomically(path, lambda file: imageio.imwrite(file, np.stack(pictures), extension=path.suffix, **timing))


def write_strip(path: Path, pictures: Sequence[np.ndarray], count: int = 8) -> None:
    """Writes some frames of a video side by side, evenly spaced from the first to the last.

    Args:
        path: a path that ends in `.png`.
        pictures: the frames, [H, W, 3] of type uint8.
        count: maximum number of frames in the strip.

    Raises:
        UserError: if the file cannot be written.
    """
    chosen = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().astype(int)
    gap = np.full((pictures[0].shape[0], _GAP, 3), 255, np.uint8)
    parts = [part for index in chosen for part in (gap, pictures[index])][1:]
    strip = np.concatenate(parts, axis=1)
    write_atomically(path, lambda file: imageio.imwrite(file, strip, extension=".png"))

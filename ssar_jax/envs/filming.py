"""Records pictures of an episode, without any effect on its simulation."""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Sequence
from typing import Any, NamedTuple, SupportsFloat

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv

from ssar_jax.envs.antmaze import AntMazeEnv
from ssar_jax.envs.mazes import CELL_SIZE
from ssar_jax.errors import UserError

_SIZE = 320  # pixels, a multiple of 16 as video codecs require
_MAX_RATE = 25  # pictures per second; GIF durations are whole hundredths of a second


_GREEN = np.array([0.1, 0.7, 0.2])
_TILE = 1.0  # m
# Blue and orange, as in the figures, and darker, because the lights of the scene brighten them.
_LOWEST, _HIGHEST = 0.5 * np.array([0.0, 0.45, 0.70]), 0.5 * np.array([0.84, 0.37, 0.0])


class Floor(NamedTuple):
    """The floor of a maze in tiles of one meter, colored by the mean of a number there.

    Attributes:
        centers: Positions of the T tiles, [T, 2], m.
        means: Mean of the number on each tile, [T].
    """

    centers: np.ndarray
    means: np.ndarray

    @classmethod
    def from_points(cls, points: np.ndarray, values: np.ndarray) -> "Floor":
        """Average a number over the tiles.

        Args:
            points: Positions in the maze, [R, 2], m.
            values: The number at each of them, [R].
        """
        tiles, members = np.unique(np.floor(points / _TILE), axis=0, return_inverse=True)
        members = members.ravel()
        means = np.bincount(members, values) / np.bincount(members)
        return cls(centers=(tiles + 0.5) * _TILE, means=means)

    @property
    def limits(self) -> tuple[float, float]:
        """The means that are blue and orange: nine tenths lie between them, since few points make extreme means."""
        low, high = np.quantile(self.means, (0.05, 0.95)).tolist()
        return low, high

    @property
    def colors(self) -> np.ndarray:
        """The color of each tile from blue for low means to orange for high ones, [T, 3]."""
        low, high = self.limits
        share = np.clip((self.means - low) / max(high - low, np.finfo(float).tiny), 0.0, 1.0)
        return _LOWEST + share[:, None] * (_HIGHEST - _LOWEST)


class Filmed(gymnasium.Wrapper):
    """Takes pictures of an episode: at its reset, at most 25 per second, and at its end.

    A maze is shown from above, with the goal as a green ball. Other environments are shown by the camera that follows
    the robot.

    Args:
        env: A MuJoCo environment.
        floor: Colors of the floor of a maze; None leaves it as it is.

    Attributes:
        pictures: Pictures of the current or last episode, each [H, W, 3] uint8.
        pictures_per_second: Pictures per second of simulated time.

    Raises:
        UserError: The environment is not one of MuJoCo's.
    """

    def __init__(self, env: gymnasium.Env, floor: Floor | None = None) -> None:
        super().__init__(env)
        simulator = env.unwrapped
        if not isinstance(simulator, MujocoEnv):
            raise UserError(f"{type(simulator).__name__} cannot be filmed: choose a MuJoCo environment")
        self._simulator = simulator
        self._renderer = mujoco.Renderer(simulator.model, _SIZE, _SIZE)
        self._camera = _camera(simulator)
        self._floor = floor
        self._stride = max(1, round(1.0 / simulator.dt / _MAX_RATE))
        self._steps = 0
        self.pictures: list[np.ndarray] = []
        self.pictures_per_second = 1.0 / simulator.dt / self._stride

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode and its film."""
        result = self.env.reset(seed=seed, options=options)
        self.pictures, self._steps = [self._draw()], 0
        return result

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take one step and a picture if one is due."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._steps += 1
        if terminated or truncated or self._steps % self._stride == 0:
            self.pictures.append(self._draw())
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """Close the environment and the renderer."""
        self._renderer.close()
        super().close()

    def _draw(self) -> np.ndarray:
        scene = self._renderer.scene
        self._renderer.update_scene(self._simulator.data, self._camera)
        # Without a graphics card, shadows and reflections take six sevenths of the time.
        scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        if isinstance(self._simulator, AntMazeEnv):
            _add_geom(scene, mujoco.mjtGeom.mjGEOM_SPHERE, self._simulator.goal, 0.5, (0.5, 0.5, 0.5), _GREEN)
        if self._floor is not None:
            half = (_TILE / 2, _TILE / 2, 0.01)
            for center, color in zip(self._floor.centers, self._floor.colors, strict=True):
                _add_geom(scene, mujoco.mjtGeom.mjGEOM_BOX, center, 0.0, half, color)
        return self._renderer.render()


def _camera(simulator: MujocoEnv) -> Any:
    """Return a camera above the whole maze, or the number of the one that follows the robot, -1 if there is none."""
    if isinstance(simulator, AntMazeEnv):
        rows, columns = simulator.maze.walls.shape
        first, last = simulator.maze.center((0, 0)), simulator.maze.center((rows - 1, columns - 1))
        camera = mujoco.MjvCamera()
        camera.lookat[:2] = (first + last) / 2
        camera.azimuth, camera.elevation = 90.0, -90.0
        # Half of the visible width, at half of the opening angle: up to a meter of the outer walls.
        half = np.max(np.abs(last - first)) / 2 - CELL_SIZE / 2 + 1.0
        camera.distance = half / np.tan(np.radians(simulator.model.vis.global_.fovy / 2))
        return camera
    return mujoco.mj_name2id(simulator.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")  # -1 is MuJoCo's free camera


def _add_geom(scene: Any, kind: Any, xy: np.ndarray, height: float, size: Sequence[float], color: np.ndarray) -> None:
    """Add a geom that is drawn and does not collide; a scene without space for it goes without."""
    if scene.ngeom == scene.maxgeom:
        return
    rgba = np.array([*color, 1.0], np.float32)
    mujoco.mjv_initGeom(
        scene.geoms[scene.ngeom], kind, np.array(size), np.array([*xy, height]), np.eye(3).ravel(), rgba
    )
    scene.ngeom += 1

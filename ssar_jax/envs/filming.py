"""Records pictures of an episode, without any effect on its simulation."""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

from typing import Any, SupportsFloat

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv

from ssar_jax.envs.antmaze import AntMazeEnv
from ssar_jax.errors import UserError

_SIZE = 320  # pixels, a multiple of 16 as video codecs require
_MAX_RATE = 25  # pictures per second; GIF durations are whole hundredths of a second


class Filmed(gymnasium.Wrapper):
    """Takes pictures of an episode: at its reset, at most 25 per second, and at its end.

    A maze is shown from above, with the goal as a green ball. Other environments are shown by the camera that follows
    the robot.

    Args:
        env: A MuJoCo environment.

    Attributes:
        pictures: Pictures of the current or last episode, each [H, W, 3] uint8.
        pictures_per_second: Pictures per second of simulated time.

    Raises:
        UserError: The environment is not one of MuJoCo's.
    """

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        simulator = env.unwrapped
        if not isinstance(simulator, MujocoEnv):
            raise UserError(f"{type(simulator).__name__} cannot be filmed: choose a MuJoCo environment")
        self._simulator = simulator
        self._renderer = mujoco.Renderer(simulator.model, _SIZE, _SIZE)
        self._camera = _camera(simulator)
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
            _add_ball(scene, np.array([*self._simulator.goal, 0.5]))
        return self._renderer.render()


def _camera(simulator: MujocoEnv) -> Any:
    """Return a camera above the whole maze, or the number of the one that follows the robot, -1 if there is none."""
    if isinstance(simulator, AntMazeEnv):
        rows, columns = simulator.maze.walls.shape
        first, last = simulator.maze.center((0, 0)), simulator.maze.center((rows - 1, columns - 1))
        camera = mujoco.MjvCamera()
        camera.lookat[:2] = (first + last) / 2
        camera.azimuth, camera.elevation = 90.0, -90.0
        # Half of the visible width, at half of the opening angle.
        half = np.max(np.abs(last - first)) / 2 + 4.0
        camera.distance = half / np.tan(np.radians(simulator.model.vis.global_.fovy / 2))
        return camera
    return mujoco.mj_name2id(simulator.model, mujoco.mjtObj.mjOBJ_CAMERA, "track")  # -1 is MuJoCo's free camera


def _add_ball(scene: Any, position: np.ndarray) -> None:
    ball = scene.geoms[scene.ngeom]
    radius, green = np.full(3, 0.5), np.array([0.1, 0.7, 0.2, 1.0], np.float32)
    mujoco.mjv_initGeom(ball, mujoco.mjtGeom.mjGEOM_SPHERE, radius, position, np.eye(3).ravel(), green)
    scene.ngeom += 1

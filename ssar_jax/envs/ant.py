"""D4RL's ant, and the task of walking in a given direction, which trains the ant policy of the embedded suite."""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

from pathlib import Path
from typing import Any

import gymnasium.envs.mujoco
import mujoco
import numpy as np

from ssar_jax.envs.physics import Physics, restore_mujoco_210

ANT_XML = Path(gymnasium.envs.mujoco.__file__).parent / "assets" / "ant.xml"
"""Gymnasium's ant; D4RL's differs in three numbers."""

_RESET_NOISE = 0.1
_DENSITY = 5.0  # of every geom in ant.xml, kg/m^3


class D4RLAntEnv(gymnasium.envs.mujoco.MujocoEnv):
    """D4RL's ant on open ground: body, reset noise and simulation settings; a base class without a task.

    Actions [8] are torques in units of 30 N m. A step takes 0.1 s, five steps of the simulator.

    Args:
        physics: `d4rl-v2`, or `gymnasium` for the same robot and task with the inertias and contact margins of the
            installed MuJoCo.
    """

    def __init__(self, physics: Physics) -> None:
        self._physics = physics
        super().__init__(str(ANT_XML), frame_skip=5, observation_space=None)
        size = len(self._observe())
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = self._world().compile()
        model.opt.timestep = 0.02
        model.actuator_gear[:, 0] = 30.0
        model.geom_solimp[:, :3] = 0.8, 0.8, 0.01
        data = mujoco.MjData(model)
        if self._physics == "d4rl-v2":
            restore_mujoco_210(model, data, density=_DENSITY)
        return model, data

    def _world(self) -> mujoco.MjSpec:
        """Return the model of the ant and its surroundings."""
        return mujoco.MjSpec.from_file(str(ANT_XML))

    @property
    def xy(self) -> np.ndarray:
        """Position of the torso, [2], m."""
        return self.data.qpos[:2].copy()

    def reset_model(self) -> np.ndarray:
        """Set the ant near its reference pose and return the observation [O]."""
        qpos = self.init_qpos + self.np_random.uniform(-_RESET_NOISE, _RESET_NOISE, self.model.nq)
        qvel = self.init_qvel + _RESET_NOISE * self.np_random.standard_normal(self.model.nv)
        # MuJoCo 2.1.0 normalized quaternions when a state was set; newer versions do not.
        qpos[3:7] /= np.linalg.norm(qpos[3:7])
        self.set_state(qpos, qvel)
        return self._observe()

    def _observe(self) -> np.ndarray:
        raise NotImplementedError


class AntDirectionEnv(D4RLAntEnv):
    """Walk on open ground in a direction that changes every 10 s.

    The reward is the speed in that direction, m/s. An episode terminates when the ant is on its back, where it cannot
    get up and would learn nothing; D4RL's mazes do not terminate there. There is no time limit; `make_env` adds one.

    An observation [29] is the proprioception [27], AntMaze's observation without its first two numbers, followed by
    the unit vector [2] of the direction in the world frame. A controller can steer a policy through a maze by setting
    this vector to the direction of the next waypoint.

    Args:
        physics: See `D4RLAntEnv`.
    """

    STEPS_PER_DIRECTION = 100

    def __init__(self, physics: Physics = "d4rl-v2") -> None:
        self.direction = np.array([1.0, 0.0])
        self._steps = 0
        super().__init__(physics)

    def reset_model(self) -> np.ndarray:
        """Start an episode with a new direction and return the observation [29]."""
        self._steps = 0
        self._turn()
        return super().reset_model()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.float64, bool, bool, dict[str, Any]]:
        """Take one step; the observation contains the direction for the next step."""
        before = self.xy
        self.do_simulation(action, self.frame_skip)
        reward = np.float64((self.xy - before) @ self.direction / self.dt)
        self._steps += 1
        if self._steps % self.STEPS_PER_DIRECTION == 0:
            self._turn()
        return self._observe(), reward, self._is_on_its_back(), False, {}

    def _turn(self) -> None:
        angle = self.np_random.uniform(-np.pi, np.pi)
        self.direction = np.array([np.cos(angle), np.sin(angle)])

    def _is_on_its_back(self) -> bool:
        """Whether the torso's upward axis points down: 1 - 2 (x^2 + y^2) < 0 for its quaternion (w, x, y, z)."""
        _, x, y, _ = self.data.qpos[3:7]
        return bool(x**2 + y**2 > 0.5)

    def _observe(self) -> np.ndarray:
        return np.concatenate([self.data.qpos[2:], self.data.qvel, self.direction])

"""D4RL's ant, and the task of walking into a given direction, at which the ant of the embedded suite is trained."""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

from pathlib import Path
from typing import Any

import gymnasium.envs.mujoco
import mujoco
import numpy as np

from ssar_jax.envs.physics import Physics, restore_mujoco_210

ANT_XML = Path(gymnasium.envs.mujoco.__file__).parent / "assets" / "ant.xml"
"""Gymnasium's ant, from which D4RL's differs in three numbers."""

_RESET_NOISE = 0.1
_DENSITY = 5.0  # of every geom in ant.xml, kg/m^3


class D4RLAntEnv(gymnasium.envs.mujoco.MujocoEnv):
    """D4RL's ant on free ground: its body, the noise of its resets, and how it is simulated.

    Actions are torques in units of 30 N m; a step takes 0.1 s, five steps of the simulator.

    Args:
        physics: `d4rl-v2`, or `gymnasium` for the same robot and the same task with the inertias and contact
            margins of the installed MuJoCo.
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
        """Gymnasium's ant and whatever surrounds it."""
        return mujoco.MjSpec.from_file(str(ANT_XML))

    @property
    def xy(self) -> np.ndarray:
        """Where the torso is, [2], m."""
        return self.data.qpos[:2].copy()

    def reset_model(self) -> np.ndarray:
        """Sets the ant near its reference pose and returns the observation."""
        qpos = self.init_qpos + self.np_random.uniform(-_RESET_NOISE, _RESET_NOISE, self.model.nq)
        qvel = self.init_qvel + _RESET_NOISE * self.np_random.standard_normal(self.model.nv)
        # MuJoCo 2.1.0 did this when a state was set; now the first observation would show the bare noise.
        qpos[3:7] /= np.linalg.norm(qpos[3:7])
        self.set_state(qpos, qvel)
        return self._observe()

    def _observe(self) -> np.ndarray:
        raise NotImplementedError


class AntDirectionEnv(D4RLAntEnv):
    """Walking on free ground into a direction that changes every 10 s.

    The reward is the speed into the direction, m/s. An episode terminates when the ant lies on its back, for it
    does not get up again and would learn nothing there; D4RL's mazes let it lie. It has no other end of its own.

    An observation [29] is the proprioception [27], which is AntMaze's observation without its first two numbers,
    followed by the unit vector [2] of the direction in the world's frame. So a controller drives a policy through
    a maze by putting the direction to its next waypoint there.
    """

    STEPS_PER_DIRECTION = 100

    def __init__(self, physics: Physics = "d4rl-v2") -> None:
        self.direction = np.array([1.0, 0.0])
        self._steps = 0
        super().__init__(physics)

    def reset_model(self) -> np.ndarray:
        """Starts an episode with a new direction."""
        self._steps = 0
        self._turn()
        return super().reset_model()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, np.float64, bool, bool, dict[str, Any]]:
        """Takes one step; the observation holds the direction of the step to come."""
        before = self.xy
        self.do_simulation(action, self.frame_skip)
        reward = np.float64((self.xy - before) @ self.direction / self.dt)
        self._steps += 1
        if self._steps % self.STEPS_PER_DIRECTION == 0:
            self._turn()
        return self._observe(), reward, self._lies_on_its_back(), False, {}

    def _turn(self) -> None:
        angle = self.np_random.uniform(-np.pi, np.pi)
        self.direction = np.array([np.cos(angle), np.sin(angle)])

    def _lies_on_its_back(self) -> bool:
        """Whether the torso's own upward axis points down: 1 - 2 (x^2 + y^2) < 0 of its quaternion."""
        _, x, y, _ = self.data.qpos[3:7]
        return bool(x**2 + y**2 > 0.5)

    def _observe(self) -> np.ndarray:
        return np.concatenate([self.data.qpos[2:], self.data.qvel, self.direction])

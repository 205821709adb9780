"""Many MuJoCo environments of one kind, stepped by C MuJoCo on several threads.

`env.step` spends a third of its time in Python and in forces that no observation here contains. This module steps the
simulator itself and computes observations, rewards and ends for the whole batch in NumPy, in the same order of
operations, so that every number equals that of the environment bit for bit, at any number of threads.

`mj_step` releases Python's global lock, so threads run in parallel. `mujoco.rollout` is as fast, but does not return
the solver's warm start, so that its steps differ in the last digits from those of the environments.
"""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import gymnasium
import mujoco
import numpy as np
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

from ssar_jax.envs.antmaze import GOAL_RADIUS, AntMazeEnv
from ssar_jax.envs.make import TerminalAliveBonus
from ssar_jax.envs.stepping import name_of

_ROWS_PER_THREAD = 32
"""Fewer environments per thread than this are stepped by one thread: between two steps a thread must get Python's lock,
and with few of them waiting for it takes longer than the steps."""


class BatchOutcome(NamedTuple):
    """Result of one step in n environments.

    Attributes:
        observations: Observations after the step, [n, O].
        rewards: Raw rewards, [n] float64.
        terminated: Whether the environment terminated, [n] bool.
        truncated: Whether the time limit was reached, [n] bool.
        infos: What the environments report in addition, n dictionaries, or none from a simulator.
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    infos: Sequence[dict[str, Any]]


class _Motion(NamedTuple):
    """A step of n environments.

    Attributes:
        qpos: Positions after the step, [n, nq].
        qvel: Velocities after the step, [n, nv].
        x_before: First coordinate before the step, [n], m.
        actions: [n, A].
        goals: Goals of the episodes, [n, 2], m; zero where there are none.
    """

    qpos: np.ndarray
    qvel: np.ndarray
    x_before: np.ndarray
    actions: np.ndarray
    goals: np.ndarray


class _Rules(NamedTuple):
    """The observation, reward and end of an environment, for n of them at once.

    Attributes:
        observe: (qpos [n, nq], qvel [n, nv]) -> observations [n, O].
        outcome: motion -> rewards [n] and whether the environments terminate [n].
    """

    observe: Callable[[np.ndarray, np.ndarray], np.ndarray]
    outcome: Callable[[_Motion], tuple[np.ndarray, np.ndarray]]


def supports(env: gymnasium.Env) -> bool:
    """Return whether a simulator can stand for an environment: one of ours without wrappers of the user's.

    Args:
        env: The environment.
    """
    plain = (gymnasium.wrappers.OrderEnforcing, gymnasium.wrappers.TimeLimit, TerminalAliveBonus)
    layer: Any = env
    while isinstance(layer, gymnasium.Wrapper):
        if type(layer) not in plain:
            return False
        layer = layer.env
    return type(layer) in _RULES and layer.render_mode is None


class Simulator:
    """N environments of one kind that `supports` accepts; an `envs.batch.EnvBatch`.

    Args:
        env: One such environment; it resets episodes and is closed with the simulator.
        num_envs: Number of environments N.
        threads: Number of threads; None for one per core that this process may use.

    Attributes:
        num_envs: Number of environments N.
        action_space: The space of their actions.
        name: Their name in messages.
    """

    def __init__(self, env: gymnasium.Env, num_envs: int, threads: int | None = None) -> None:
        self.num_envs, self.action_space, self.name = num_envs, env.action_space, name_of(env)
        self._env: Any = env
        self._base: Any = env.unwrapped
        self._limit, self._bonus = _limit_and_bonus(env)
        self._rules = _RULES[type(self._base)](self._base)
        self._model, self._frame_skip = self._base.model, self._base.frame_skip
        self._data = [mujoco.MjData(self._model) for _ in range(num_envs)]
        # Views of the simulator's memory, because looking up an attribute of MjData takes as long as a copy.
        self._ctrl = [data.ctrl for data in self._data]
        self._qpos = [data.qpos for data in self._data]
        self._qvel = [data.qvel for data in self._data]
        self._x, self._goals = np.zeros(num_envs), np.zeros((num_envs, 2))
        self._steps = np.zeros(num_envs, int)
        threads = len(os.sched_getaffinity(0)) if threads is None else threads
        self._threads = max(1, min(threads, num_envs))
        self._pool = ThreadPoolExecutor(self._threads - 1) if self._threads > 1 else None

    def reset(self, index: int, seed: int) -> np.ndarray:
        """See `envs.batch.EnvBatch.reset`."""
        observation, _ = self._env.reset(seed=seed)
        mujoco.mj_copyData(self._data[index], self._model, self._base.data)
        self._x[index], self._steps[index] = self._qpos[index][0], 0
        self._goals[index] = getattr(self._base, "goal", 0.0)
        return observation

    def step(self, actions: np.ndarray, rows: Sequence[int], place: Callable[[int], str]) -> BatchOutcome:
        """See `envs.batch.EnvBatch.step`."""
        del place  # nothing here can be the fault of an environment
        self._simulate(actions, rows)
        index = slice(None) if len(rows) == self.num_envs else np.asarray(rows)
        qpos, qvel = np.array([self._qpos[i] for i in rows]), np.array([self._qvel[i] for i in rows])
        motion = _Motion(qpos, qvel, self._x[index], actions, self._goals[index])
        rewards, terminated = self._rules.outcome(motion)
        self._x[index] = qpos[:, 0]
        self._steps[index] += 1
        truncated = np.zeros(len(rows), bool) if self._limit is None else self._steps[index] >= self._limit
        return BatchOutcome(
            observations=self._rules.observe(qpos, qvel),
            rewards=rewards + self._bonus * terminated if self._bonus else rewards,
            terminated=terminated,
            truncated=truncated,
            infos=(),
        )

    def _simulate(self, actions: np.ndarray, rows: Sequence[int]) -> None:
        """Advance the simulations; this thread takes a share, because it would wait otherwise."""
        shares = min(self._threads, len(rows) // _ROWS_PER_THREAD)
        if self._pool is None or shares < 2:
            self._advance(actions, rows, 0, len(rows))
            return
        bounds = [len(rows) * share // shares for share in range(shares + 1)]
        others = [self._pool.submit(self._advance, actions, rows, *bounds[s : s + 2]) for s in range(1, shares)]
        self._advance(actions, rows, *bounds[:2])
        for other in others:
            other.result()

    def _advance(self, actions: np.ndarray, rows: Sequence[int], start: int, stop: int) -> None:
        model, data, ctrl, frame_skip = self._model, self._data, self._ctrl, self._frame_skip
        for k in range(start, stop):
            i = rows[k]
            ctrl[i][:] = actions[k]
            mujoco.mj_step(model, data[i], frame_skip)

    def close(self) -> None:
        """Close the environment and stop the threads."""
        if self._pool is not None:
            self._pool.shutdown()
        self._env.close()


def _limit_and_bonus(env: Any) -> tuple[int | None, float]:
    """Return the time limit and the bonus on the terminal step that the wrappers of an environment add."""
    limit, bonus = None, 0.0
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, gymnasium.wrappers.TimeLimit):
            limit = env._max_episode_steps if limit is None else min(limit, env._max_episode_steps)
        elif isinstance(env, TerminalAliveBonus):
            bonus = env.bonus
        env = env.env
    return limit, bonus


def _forward(env: Any, motion: _Motion) -> np.ndarray:
    """Return the weighted speed along x, [n]."""
    return env._forward_reward_weight * ((motion.qpos[:, 0] - motion.x_before) / env.dt)


def _control_cost(env: Any, motion: _Motion) -> np.ndarray:
    return env._ctrl_cost_weight * np.sum(np.square(motion.actions), axis=1)


def _half_cheetah(env: Any) -> _Rules:
    skipped = int(env._exclude_current_positions_from_observation)

    def outcome(motion: _Motion) -> tuple[np.ndarray, np.ndarray]:
        return _forward(env, motion) - _control_cost(env, motion), np.zeros(len(motion.qpos), bool)

    return _Rules(lambda qpos, qvel: np.concatenate([qpos[:, skipped:], qvel], axis=1), outcome)


def _biped(env: Any) -> _Rules:
    """Return the rules of Hopper and Walker2d, which end when they fall."""
    skipped = int(env._exclude_current_positions_from_observation)
    state_range = getattr(env, "_healthy_state_range", None)  # Hopper alone limits the other coordinates

    def is_healthy(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        (low_z, high_z), (low_angle, high_angle) = env._healthy_z_range, env._healthy_angle_range
        z, angle = qpos[:, 1], qpos[:, 2]
        healthy = (low_z < z) & (z < high_z) & (low_angle < angle) & (angle < high_angle)
        if state_range is not None:
            state = np.concatenate([qpos, qvel], axis=1)[:, 2:]
            healthy &= np.all((state_range[0] < state) & (state < state_range[1]), axis=1)
        return healthy

    def outcome(motion: _Motion) -> tuple[np.ndarray, np.ndarray]:
        healthy = is_healthy(motion.qpos, motion.qvel)
        rewards = _forward(env, motion) + healthy * env._healthy_reward - _control_cost(env, motion)
        return rewards, ~healthy & env._terminate_when_unhealthy

    def observe(qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        return np.concatenate([qpos[:, skipped:], np.clip(qvel, -10, 10)], axis=1)

    return _Rules(observe, outcome)


def _antmaze(env: AntMazeEnv) -> _Rules:
    def outcome(motion: _Motion) -> tuple[np.ndarray, np.ndarray]:
        reached = np.linalg.norm(motion.qpos[:, :2] - motion.goals, axis=1) <= GOAL_RADIUS
        return reached.astype(float), reached & env.terminates_at_goal

    return _Rules(lambda qpos, qvel: np.concatenate([qpos, qvel], axis=1), outcome)


_RULES: dict[type, Callable[[Any], _Rules]] = {
    HalfCheetahEnv: _half_cheetah,
    HopperEnv: _biped,
    Walker2dEnv: _biped,
    AntMazeEnv: _antmaze,
}
"""The rules of the environments that a simulator can stand for; a subclass may differ in anything, so it has none."""

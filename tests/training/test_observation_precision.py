"""An observation becomes the same input of the networks in training, in a policy, in evaluation and in fine-tuning."""

import gymnasium
import numpy as np

from ssar_jax.data.dataset import OfflineDataset
from ssar_jax.data.scaling import prepare
from ssar_jax.envs.lockstep import LockstepEnvs
from ssar_jax.training.evaluation import Evaluator
from ssar_jax.training.fine_tuner import FineTuner, Protocol
from ssar_jax.training.initial_buffer import kept_rows, make_buffer
from ssar_jax.training.trainer import make_policy
from tests.training.small_tuner import make_diary

START, STEPS = 1.7e9, 5


class Clock(gymnasium.Env):
    """Observes the time in seconds, in float64, and is cut after five steps; rewards are 1e9 + 1, 1e9 + 2, ..."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return np.array([START]), {}

    def step(self, action):
        self.steps += 1
        return np.array([START + self.steps]), 1e9 + self.steps, False, self.steps == STEPS, {}


def recording(times):
    """A recorded episode of the clock, as the offline dataset."""
    times = START + np.asarray(times, float)[:, None]
    rewards = 1e9 + np.arange(1.0, len(times) + 1)
    dataset = OfflineDataset.from_arrays(
        observations=times,
        actions=np.zeros_like(times),
        rewards=rewards,
        masks=np.ones(len(times)),
        next_observations=times + 1,
    )
    return dataset, prepare(dataset, reward_bias=-1e9)


def echo(params, observations, key):
    """A policy whose action is its input."""
    return 0.1 * observations


def test_the_environment_keeps_its_digits():
    envs = LockstepEnvs(Clock, [0])
    np.testing.assert_array_equal(envs.reset(), [[START]])
    step = envs.step(np.zeros((1, 1)))
    np.testing.assert_array_equal(step.next_observations, [[START + 1]])
    np.testing.assert_array_equal(step.rewards, [1e9 + 1])


def test_the_same_input_everywhere():
    """Times 0 to 4: mean 2, standard deviation sqrt(2). float32 would make all of them equal."""
    dataset, data = recording(range(STEPS))
    inputs = data.transitions.observations
    np.testing.assert_allclose(inputs[:, 0], (np.arange(STEPS) - 2) / (np.sqrt(2) + 1e-3), rtol=1e-6)

    algorithm = make_diary(8)._replace(act=echo)
    policy = make_policy(algorithm, np.float32(0.0), data.observation_scaling)
    np.testing.assert_array_equal(policy(dataset.observations), np.float32(0.1) * inputs)

    seen = []
    evaluator = Evaluator(algorithm, lambda: Watched(seen), [0], 1, data.observation_scaling)
    evaluator(np.zeros(1, np.float32))
    evaluator.close()
    np.testing.assert_array_equal(np.float32(seen)[:, 0], np.float32(0.1) * inputs[:, 0])

    buffer = make_buffer(
        "none", kept_rows("none", dataset, 1), data, np.ones(STEPS, np.float32), capacity=STEPS, num_steps=STEPS
    )
    state = {
        "weight": np.zeros(1, np.float32),
        "steps": np.zeros((1, 64), np.float32),
        "factors": np.zeros((1, 64), np.float32),
        "rewards": np.zeros((1, 64, 8), np.float32),
        "count": np.zeros(1, np.int32),
    }
    tuner = FineTuner(
        algorithm, state, data, buffer, Clock,
        seeds=[0], num_steps=STEPS, protocol=Protocol(warmup_steps=4, batch_size=8), first_update=0,
    )  # fmt: skip
    tuner.advance(STEPS - 1)
    _, memory, _ = tuner.save()
    tuner.close()
    np.testing.assert_array_equal(memory.rows.observations[0], inputs[: STEPS - 1])
    np.testing.assert_array_equal(memory.rows.next_observations[0], inputs[1:])
    np.testing.assert_array_equal(memory.rows.rewards[0], [1, 2, 3, 4])


class Watched(Clock):
    """Appends the actions to a list."""

    def __init__(self, seen):
        self.seen = seen

    def step(self, action):
        self.seen.append(np.array(action))
        return super().step(action)

"""The d4rl-v2 physics against transitions of the real MuJoCo 2.1.0 engine."""

import mujoco
import numpy as np
import pytest

from ssar_jax.envs.make import make_env
from tests.data.helpers import user_error
from tests.golden_vectors import golden_files, load_golden

MODELS = (
    ("half_cheetah", "halfcheetah"),
    ("hopper", "hopper"),
    ("walker2d", "walker2d"),
    ("ant_d4rl", "antmaze-umaze"),
    ("ant_d4rl", "ant-direction"),
)

pytestmark = pytest.mark.conformance


@pytest.fixture(scope="module", params=MODELS, ids=lambda names: names[1])
def vectors(request):
    """The arrays of one model, from the first file that holds it, and its environment's name."""
    model, environment = request.param
    for path in golden_files("mujoco210"):
        arrays = load_golden(path)
        prefix = f"{model}/"
        found = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        if found:
            return found, environment
    raise FileNotFoundError(f"no transitions of {model}")


def tensors(moments, quaternions):
    """Inertia tensors [N, 3, 3] in the bodies' frames, from principal moments and the axes' quaternions.

    Tensors are compared, for axes may swap signs or, with equal moments, turn.
    """
    result = []
    for moment, quaternion in zip(moments, quaternions, strict=True):
        rotation = np.zeros(9)
        mujoco.mju_quat2Mat(rotation, np.ascontiguousarray(quaternion))
        axes = rotation.reshape(3, 3)
        result.append(axes @ np.diag(moment) @ axes.T)
    return np.array(result)


def play(environment, physics, vectors):
    """Every transition through the environment's own `step`, wrappers included; next positions and velocities."""
    env = make_env(environment, physics)
    simulator = env.unwrapped
    assert simulator.frame_skip == vectors["frame_skip"]
    env.reset(seed=0)
    positions, velocities = [], []
    for qpos, qvel, action in zip(vectors["qpos"], vectors["qvel"], vectors["action"], strict=True):
        # The constraint solver starts from the last accelerations: none here, as where the file was made.
        mujoco.mj_resetData(simulator.model, simulator.data)
        simulator.set_state(qpos, qvel)
        env.step(action)
        positions.append(simulator.data.qpos.copy())
        velocities.append(simulator.data.qvel.copy())
    env.close()
    return np.array(positions), np.array(velocities)


def test_bodies_have_the_old_masses_and_inertias(vectors):
    arrays, environment = vectors
    model = make_env(environment).unwrapped.model
    np.testing.assert_allclose(model.body_mass, arrays["body_mass"], rtol=1e-10)
    np.testing.assert_allclose(model.body_ipos, arrays["body_ipos"], atol=1e-10)
    actual = tensors(model.body_inertia, model.body_iquat)
    np.testing.assert_allclose(actual, tensors(arrays["body_inertia"], arrays["body_iquat"]), atol=1e-10)


def test_one_step_is_that_of_mujoco_210(vectors):
    """To 1e-10 in positions and in velocities, which reach 50 rad/s."""
    arrays, environment = vectors
    positions, velocities = play(environment, "d4rl-v2", arrays)
    assert len(positions) > 0
    np.testing.assert_allclose(positions, arrays["next_qpos"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(velocities, arrays["next_qvel"], rtol=0, atol=1e-10)


def test_the_installed_physics_is_another(vectors):
    """The same comparison fails by far for the environments as installed: capsules and contact margins differ."""
    arrays, environment = vectors
    positions, _ = play(environment, "gymnasium", arrays)
    assert np.max(np.abs(positions - arrays["next_qpos"])) > 1e-5
    model = make_env(environment, "gymnasium").unwrapped.model
    assert np.max(np.abs(model.body_mass[1:] / arrays["body_mass"][1:] - 1.0)) > 0.04
    assert np.max(np.abs(model.body_inertia[1:] / arrays["body_inertia"][1:] - 1.0)) > 0.1


@pytest.mark.parametrize("environment", [environment for _, environment in MODELS])
def test_the_rotations_of_mujoco_4_are_refused(environment, monkeypatch):
    """Only where a joint rotates freely; otherwise single steps of MuJoCo 4.0.0 agree with those of 2.1.0 too."""
    monkeypatch.setattr(mujoco, "__version__", "4.0.0")
    if not environment.startswith("ant"):
        make_env(environment, "d4rl-v2").close()
        return
    with user_error("physics d4rl-v2: MuJoCo 4.0.0 integrates the rotations", "pip install 'mujoco<4'"):
        make_env(environment, "d4rl-v2")
    make_env(environment, "gymnasium").close()

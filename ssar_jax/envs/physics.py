"""The physics of D4RL v2 in a current MuJoCo.

D4RL's v2 datasets and reference scores come from MuJoCo 2.1.0 and older. A current MuJoCo differs in two points that
change returns:

1. MuJoCo 2.1.0 approximated the inertia of a capsule by a cylinder that is longer by one radius.
2. Its margin of a contact was the larger of the two geoms' margins; since MuJoCo 3.5.0 it is their sum.

`restore_mujoco_210` restores both in a compiled model. Tests compare it with single steps of MuJoCo 2.1.0 in
tests/golden/mujoco210_onestep.npz.

MuJoCo 4 differs in a third point, which no setting restores: its fourth-order Runge-Kutta steps are of that order for
rotations too, where all before are of second order. So a step of the ant, whose torso rotates freely, ends up to 1e-3
away. Hopper, halfcheetah and walker2d have no such joint.
"""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

import re

import mujoco
import numpy as np

from ssar_jax.choices import Physics as Physics
from ssar_jax.errors import UserError


def restore_mujoco_210(
    model: mujoco.MjModel, data: mujoco.MjData, *, density: float = 1000.0, total_mass: float | None = None
) -> None:
    """Set the inertias and contact margins of a compiled model to those of MuJoCo 2.1.0, in place.

    Args:
        model: A model whose moving bodies consist of capsules and spheres of one density.
        data: The model's data; it is reset to the reference pose.
        density: Density of every geom, kg/m^3.
        total_mass: Total mass of models compiled with `settotalmass`, kg; None keeps the masses from the density.

    Raises:
        UserError: The installed MuJoCo cannot be made to behave so.
        ValueError: A geom is neither a capsule nor a sphere.
    """
    _require_old_rotations(model)
    for body in range(1, model.nbody):
        first, count = model.body_geomadr[body], model.body_geomnum[body]
        if count > 0:
            _set_inertia(model, body, range(first, first + count), density)
    if total_mass is not None:
        scale = total_mass / np.sum(model.body_mass[1:])
        model.body_mass[1:] *= scale
        model.body_inertia[1:] *= scale
    if _mujoco_version() >= (3, 5):
        model.geom_margin[:] *= 0.5
    # Recomputes what MuJoCo derives from masses and inertias (such as the constraints' inverse weights).
    mujoco.mj_setConst(model, data)
    mujoco.mj_resetData(model, data)


def _require_old_rotations(model: mujoco.MjModel) -> None:
    """Refuse a model whose rotations MuJoCo 4 integrates in another way."""
    rotating = np.isin(model.jnt_type, (mujoco.mjtJoint.mjJNT_FREE, mujoco.mjtJoint.mjJNT_BALL)).any()
    if _mujoco_version() >= (4, 0) and rotating and model.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4:
        raise UserError(
            f"physics d4rl-v2: MuJoCo {mujoco.__version__} integrates the rotations of the ant differently: "
            "pip install 'mujoco<4', or choose physics gymnasium"
        )


def _mujoco_version() -> tuple[int, int]:
    """Return MuJoCo's version as numbers, since as text "3.12" comes before "3.5"."""
    match = re.match(r"(\d+)\.(\d+)", mujoco.__version__)
    if match is None:
        raise RuntimeError(f"cannot read MuJoCo's version {mujoco.__version__!r}")
    return int(match[1]), int(match[2])


def _set_inertia(model: mujoco.MjModel, body: int, geoms: range, density: float) -> None:
    """Set the mass, center of mass and principal inertia of a body from its geoms."""
    parts = [_geom_inertia(model, geom, density) for geom in geoms]
    mass = sum(part[0] for part in parts)
    center = sum((part[0] * part[1] for part in parts), np.zeros(3)) / mass
    tensor = np.zeros((3, 3))
    for part_mass, position, part_tensor in parts:
        offset = position - center
        # Parallel-axis theorem.
        tensor += part_tensor + part_mass * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    moments, axes = np.linalg.eigh(tensor)
    moments, axes = moments[::-1], axes[:, ::-1]  # descending, as MuJoCo sorts them
    if np.linalg.det(axes) < 0:
        axes = axes * np.array([1.0, 1.0, -1.0])  # a rotation, not a reflection
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(axes).ravel())
    model.body_mass[body] = mass
    model.body_ipos[body] = center
    model.body_inertia[body] = moments
    model.body_iquat[body] = quaternion


def _geom_inertia(model: mujoco.MjModel, geom: int, density: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Return mass, position and inertia tensor of a geom in its body's frame, as MuJoCo 2.1.0 computed them."""
    kind = model.geom_type[geom]
    radius, half_length = model.geom_size[geom][:2]
    if kind == mujoco.mjtGeom.mjGEOM_CAPSULE:
        length = 2.0 * half_length + radius
        mass = density * np.pi * radius**2 * length
        across = mass * (3.0 * radius**2 + length**2) / 12.0
        moments = np.array([across, across, mass * radius**2 / 2.0])
    elif kind == mujoco.mjtGeom.mjGEOM_SPHERE:
        mass = density * 4.0 / 3.0 * np.pi * radius**3
        moments = np.full(3, 0.4 * mass * radius**2)
    else:
        raise ValueError(f"geom {geom} is neither a capsule nor a sphere (type {kind})")
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    axes = rotation.reshape(3, 3)
    return mass, model.geom_pos[geom].copy(), axes @ np.diag(moments) @ axes.T

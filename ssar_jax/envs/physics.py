"""The physics of D4RL v2 in a current MuJoCo.

D4RL's v2 datasets and reference scores come from MuJoCo 2.1.0 and older. Against it a current MuJoCo differs in
two things that change returns:

1. The inertia of a capsule was approximated by a cylinder that is longer by one radius.
2. The margin of a contact was the larger of the two geoms' margins; since MuJoCo 3.5.0 it is their sum.

`restore_mujoco_210` undoes both in a compiled model. tests/golden/mujoco210_onestep.npz holds the proof.
"""

# MuJoCo ships no stubs for its bindings.
# pyright: reportAttributeAccessIssue=false

import re
from typing import Literal

import mujoco
import numpy as np

Physics = Literal["d4rl-v2", "gymnasium"]
"""`d4rl-v2`: MuJoCo 2.1.0's dynamics and v2's rewards. `gymnasium`: the installed v5 environments as they are."""


def restore_mujoco_210(
    model: mujoco.MjModel, data: mujoco.MjData, *, density: float = 1000.0, total_mass: float | None = None
) -> None:
    """Gives a compiled model the inertias and contact margins of MuJoCo 2.1.0, in place.

    Args:
        model: a model whose moving bodies consist of capsules and spheres of one density.
        data: the model's data; left at the reference pose.
        density: density of every geom, kg/m^3.
        total_mass: kg, for models compiled with `settotalmass`; None leaves masses as the density gives them.
    """
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


def _mujoco_version() -> tuple[int, int]:
    """The version of the engine as numbers: as text, "3.12" would come before "3.5"."""
    match = re.match(r"(\d+)\.(\d+)", mujoco.__version__)
    if match is None:
        raise RuntimeError(f"cannot read MuJoCo's version {mujoco.__version__!r}")
    return int(match[1]), int(match[2])


def _set_inertia(model: mujoco.MjModel, body: int, geoms: range, density: float) -> None:
    """Sets mass, centre of mass and principal inertia of a body from its geoms."""
    parts = [_geom_inertia(model, geom, density) for geom in geoms]
    mass = sum(part[0] for part in parts)
    centre = sum((part[0] * part[1] for part in parts), np.zeros(3)) / mass
    tensor = np.zeros((3, 3))
    for part_mass, position, part_tensor in parts:
        offset = position - centre
        # Parallel-axis theorem.
        tensor += part_tensor + part_mass * (offset @ offset * np.eye(3) - np.outer(offset, offset))
    moments, axes = np.linalg.eigh(tensor)
    moments, axes = moments[::-1], axes[:, ::-1]  # descending, as MuJoCo sorts them
    if np.linalg.det(axes) < 0:
        axes = axes * np.array([1.0, 1.0, -1.0])  # a rotation, not a reflection
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(axes).ravel())
    model.body_mass[body] = mass
    model.body_ipos[body] = centre
    model.body_inertia[body] = moments
    model.body_iquat[body] = quaternion


def _geom_inertia(model: mujoco.MjModel, geom: int, density: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Mass, position and inertia tensor of a geom in its body's frame, as MuJoCo 2.1.0 computed them."""
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

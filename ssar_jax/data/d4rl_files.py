"""The 18 official D4RL v2 files: path, size and sha256 of each.

Sizes and checksums are those of TensorFlow Datasets (tensorflow_datasets/d4rl/*/checksums.tsv, Apache-2.0).
"""

from dataclasses import dataclass

D4RL_BASE_URL = "http://rail.eecs.berkeley.edu/datasets/offline_rl/"


@dataclass(frozen=True)
class D4RLFile:
    """One official file.

    Attributes:
        path: Path below `D4RL_BASE_URL`; its last part is the file's name in the cache.
        size: Size in bytes.
        sha256: Checksum, 64 lower-case hexadecimal digits.
    """

    path: str
    size: int
    sha256: str

    @property
    def file_name(self) -> str:
        """The name of the file in the cache."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def url(self) -> str:
        """The official URL."""
        return D4RL_BASE_URL + self.path


D4RL_FILES: dict[str, D4RLFile] = {
    "halfcheetah-medium-v2": D4RLFile(
        "gym_mujoco_v2/halfcheetah_medium-v2.hdf5",
        237_727_262,
        "41324e8487a9556d8cfa4538827f8937f4d63dae3030825ebc9f3a726ed08ca0",
    ),
    "halfcheetah-medium-replay-v2": D4RLFile(
        "gym_mujoco_v2/halfcheetah_medium_replay-v2.hdf5",
        59_448_533,
        "48d494a4770c11f48260736dec090b78bdca8375647ed4d24bfa5b6610c7f683",
    ),
    "halfcheetah-medium-expert-v2": D4RLFile(
        "gym_mujoco_v2/halfcheetah_medium_expert-v2.hdf5",
        474_567_252,
        "015db75dae5bbe8e94029b71fa0bafc2073365df0c94744e71031189f3f79c06",
    ),
    "halfcheetah-expert-v2": D4RLFile(
        "gym_mujoco_v2/halfcheetah_expert-v2.hdf5",
        237_464_597,
        "d9fe53bb994eb1e20a99b4fa3412cd76a1bb7966a7ff55e0fcbdd6081bd2965f",
    ),
    "hopper-medium-v2": D4RLFile(
        "gym_mujoco_v2/hopper_medium-v2.hdf5",
        152_756_557,
        "5bdf1bc4a713c82941de44633df669b36c89850b652a25985166796d25cf71a0",
    ),
    "hopper-medium-replay-v2": D4RLFile(
        "gym_mujoco_v2/hopper_medium_replay-v2.hdf5",
        75_854_457,
        "e121c5f7c9857a307baa9edc6a2c3b48e85fedb9ac316ecddd0f48ca7ef4e39b",
    ),
    "hopper-medium-expert-v2": D4RLFile(
        "gym_mujoco_v2/hopper_medium_expert-v2.hdf5",
        304_537_315,
        "9d51ad87f8c905be3880d84c6140bcdb7fbf39a19e046a237f238ba34fec9e26",
    ),
    "hopper-expert-v2": D4RLFile(
        "gym_mujoco_v2/hopper_expert-v2.hdf5",
        152_427_435,
        "01aa219a5f8eea5e639eccdc636ec2bf40e317159a95cf4bf6e985f16909941b",
    ),
    "walker2d-medium-v2": D4RLFile(
        "gym_mujoco_v2/walker2d_medium-v2.hdf5",
        232_254_996,
        "cf00f43add04c17fdfc2958dd581dea0851b2e5bedbe6fda073758a8f841aeda",
    ),
    "walker2d-medium-replay-v2": D4RLFile(
        "gym_mujoco_v2/walker2d_medium_replay-v2.hdf5",
        86_323_963,
        "e75de96a4f77acf7d4e0d6fdf0d7ccb177c26c44bb4388e4fd99f543ccfa18db",
    ),
    "walker2d-medium-expert-v2": D4RLFile(
        "gym_mujoco_v2/walker2d_medium_expert-v2.hdf5",
        462_197_079,
        "6b8d7f868c45bbaedf460be797fb7271b46dee6ebe45fe7a64319f2005b59a04",
    ),
    "walker2d-expert-v2": D4RLFile(
        "gym_mujoco_v2/walker2d_expert-v2.hdf5",
        230_567_195,
        "2985dc3d436a8baa10e8f43f946fe1d7c6337a4e4fbc65def70618093b18c59a",
    ),
    "antmaze-umaze-v2": D4RLFile(
        "ant_maze_v2/Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse_fixed.hdf5",
        232_532_949,
        "5ef15257771c50ef4d23c7de001750e96c8bb5d9b6a5e4a821dcfb3065fbd130",
    ),
    "antmaze-umaze-diverse-v2": D4RLFile(
        "ant_maze_v2/Ant_maze_u-maze_noisy_multistart_True_multigoal_True_sparse_fixed.hdf5",
        230_854_272,
        "c771dd63963cd7d9f55f24a6d809064f6b82250a6aeac4c9d13f9a1d06e8c932",
    ),
    "antmaze-medium-play-v2": D4RLFile(
        "ant_maze_v2/Ant_maze_big-maze_noisy_multistart_True_multigoal_False_sparse_fixed.hdf5",
        231_110_764,
        "c9fec1c1daad97c71d61bd47f4ccc9f74faa855b8a2d2e8107d5378018827e5b",
    ),
    "antmaze-medium-diverse-v2": D4RLFile(
        "ant_maze_v2/Ant_maze_big-maze_noisy_multistart_True_multigoal_True_sparse_fixed.hdf5",
        231_095_166,
        "ad9dcbac05d1f8744a7a216083f513662f43f64f28a4a5eb225e9811902dfae7",
    ),
    "antmaze-large-play-v2": D4RLFile(
        "ant_maze_v2/Ant_maze_hardest-maze_noisy_multistart_True_multigoal_False_sparse_fixed.hdf5",
        230_880_653,
        "6d353df2457829925d7f9d4b0215587469908bd57478ea76f16417cfa944f471",
    ),
    "antmaze-large-diverse-v2": D4RLFile(
        "ant_maze_v2/Ant_maze_hardest-maze_noisy_multistart_True_multigoal_True_sparse_fixed.hdf5",
        231_183_710,
        "84f775eb7956ea9cc766704710dc520a8ab357adc7522ade47f556f0e335e284",
    ),
}

"""The names that users choose from, in configs and in Python; a leaf that imports nothing."""

from typing import Literal

Physics = Literal["d4rl-v2", "gymnasium"]
"""The dynamics of an environment: `d4rl-v2` is MuJoCo 2.1.0 with the rewards of D4RL v2, `gymnasium` the installed v5
environment, unchanged."""

Precision = Literal["highest", "high", "default"]
"""JAX's precision of matrix products: `highest` is float32 everywhere, the others are faster on accelerators."""

SeedLayout = Literal["auto", "loop", "vmap"]
"""Whether seeds and critics run one after the other or as one batched program; `auto` batches on accelerators."""

Overlap = Literal["auto", "on", "off"]
"""Whether offline evaluations are played while training goes on; `auto` does so on accelerators."""

Source = Literal["auto", "d4rl", "minari", "embedded", "path"]
"""Where a task's dataset comes from: `auto` takes D4RL's file if there is one, else the embedded dataset."""

SelectionRule = Literal["return", "success", "advantage", "top_fraction", "none"]
"""How the trusted sub-dataset is selected; `none` trusts every transition."""

CoefficientKind = Literal["state_adaptive", "constant"]
"""Whether the coefficient of the regularizer is learned for each state or one number."""

LastKernelInit = Literal["xavier", "zeros"]
"""The last kernel of the coefficient network: `zeros` starts every state at the base value, `xavier` near it."""

Annealing = Literal["linear", "cosine", "none"]
"""How the coefficient decays in the online phase."""

ClonedPolicy = Literal["deterministic", "gaussian"]
"""The policy of behavior cloning: trained by squared error, or by likelihood."""

BalanceMap = Literal["official", "intended"]
"""FamCQL's map from the balance network's outputs to coefficients: `intended` reaches (low, high); `official` is the
authors' program, which reaches (2 low - high, high)."""

NextCoefficient = Literal["current", "next"]
"""The state at which FamCQL chooses the coefficient of the policy at the next state."""

ActorSchedule = Literal["cosine", "constant"]
"""IQL's learning rate of the actor: `cosine` decays it to 0."""

OnlineActorSchedule = Literal["constant", "cosine_wrap"]
"""The same online; `cosine_wrap` continues the cosine, on which the rate climbs again from 0 (CORL's fine-tuning)."""

ReplayMode = Literal["all", "part", "half", "none"]
"""What the online phase starts with: `all` offline rows, `part` of them (the best trajectories), or `none`; `half`
keeps the offline rows apart and draws half of every minibatch from them."""

ReplayTrust = Literal["one", "zero", "stale"]
"""The trust flag of a new transition; `stale` keeps the flag of the slot that it overwrites."""

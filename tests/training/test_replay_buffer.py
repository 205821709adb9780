"""Replay buffers against a ring written out in NumPy, and against the authors' program."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssar_jax.data.scaling import prepare
from ssar_jax.data.selection import keep_best
from ssar_jax.training import replay_buffer
from ssar_jax.training.initial_buffer import make_buffer
from ssar_jax.transitions import Transitions
from tests.data.test_selection_conformance import read as read_dataset
from tests.golden_vectors import golden_files, load_golden


def offline_rows(count):
    """Row i has observation [i, i], action [i], reward i, so that the content of a slot shows its origin."""
    i = np.arange(float(count), dtype=np.float32)
    return Transitions(np.stack([i, i], 1), i[:, None], i, np.ones_like(i), np.stack([i, i], 1) + 0.5)


def online_row(seeds, number):
    """Transition `number` of seed s has reward 100 (s + 1) + number."""
    reward = np.array([100.0 * (s + 1) + number for s in range(seeds)], np.float32)
    pairs = np.stack([reward, reward], 1)
    return Transitions(pairs, reward[:, None], reward, np.zeros_like(reward), pairs + 0.5)


class NumpyRing:
    """One seed's buffer as a plain array of slots with a pointer."""

    def __init__(self, kept, capacity, half, trust, trusted):
        self.rewards, self.flags = np.full(capacity + half * kept, np.nan), np.array(trusted, float)
        self.rewards[:kept] = np.arange(kept)
        self.first = kept if half else 0
        self.pointer = self.first + (kept - self.first) % capacity
        self.size, self.trust = kept, trust

    def add(self, reward):
        self.rewards[self.pointer] = reward
        if self.trust != "stale":
            self.flags[self.pointer] = self.trust == "one"
        self.size = min(self.size + 1, len(self.rewards))
        self.pointer = self.pointer + 1 if self.pointer + 1 < len(self.rewards) else self.first


RINGS = [(3, 10, 4, False), (3, 5, 12, False), (0, 4, 9, False), (5, 5, 7, False), (3, 4, 10, True), (3, 20, 10, True)]


@pytest.mark.parametrize(
    ("kept", "capacity", "steps", "half", "trust"),
    [
        *((*ring, "one") for ring in RINGS),
        *((*RINGS[1], trust) for trust in ("zero", "stale")),
        *(
            pytest.param(*ring, trust, marks=pytest.mark.slow)
            for ring in (RINGS[0], *RINGS[2:])
            for trust in ("zero", "stale")
        ),
    ],
)
def test_every_slot_has_the_content_of_a_plain_ring(kept, capacity, steps, half, trust):
    """Two seeds, before, while and after the ring wraps, once and twice."""
    slots = capacity + half * kept
    trusted = np.random.default_rng(0).random((2, slots)) < 0.5
    buffer = replay_buffer.make_replay_buffer(kept=kept, capacity=capacity, num_steps=steps, half=half, trust=trust)
    ring = jax.tree.map(jnp.asarray, buffer.init(trusted, 2, 1))
    plain = [NumpyRing(kept, capacity, half, trust, flags) for flags in trusted]
    add, read = jax.jit(buffer.add), jax.jit(jax.vmap(buffer.read, in_axes=(None, None, 0, None, None)))
    for number in range(steps + 1):
        size = plain[0].size
        assert (buffer.size(number), buffer.pointer(number)) == (size, plain[0].pointer)
        offline = jax.tree.map(jnp.asarray, offline_rows(kept))
        batch, is_online = read(offline, ring, jnp.arange(2), jnp.arange(slots), number)
        for s in range(2):
            np.testing.assert_array_equal(batch.rewards[s, :size], plain[s].rewards[:size])
            np.testing.assert_array_equal(batch.trusted[s], plain[s].flags)
            np.testing.assert_array_equal(is_online[s, :size], plain[s].rewards[:size] >= 100)
        held = batch.rewards[:, :size]
        np.testing.assert_array_equal(batch.observations[:, :size, 1], held)
        np.testing.assert_array_equal(batch.actions[:, :size, 0], held)
        np.testing.assert_array_equal(batch.next_observations[:, :size, 0], held + 0.5)
        np.testing.assert_array_equal(batch.masks[:, :size], held < 100)
        if number < steps:
            ring = add(ring, online_row(2, number), number)
            for s in range(2):
                plain[s].add(100 * (s + 1) + number)


def rewards_drawn(*, half, kept=4, capacity=6, added=3, batch_size=4_000):
    buffer = replay_buffer.make_replay_buffer(kept=kept, capacity=capacity, num_steps=added, half=half)
    ring = jax.tree.map(jnp.asarray, buffer.init(np.ones((2, capacity + half * kept), bool), 2, 1))
    for number in range(added):
        ring = buffer.add(ring, online_row(2, number), jnp.int32(number))
    offline = offline_rows(kept)
    draws = [buffer.sample(offline, ring, s, jax.random.key(s), batch_size, jnp.int32(added)) for s in range(2)]
    return np.stack([batch.rewards for batch, _ in draws]), np.stack([is_online for _, is_online in draws])


def test_samples_are_uniform_over_the_slots_filled():
    """Capacity 6, 4 kept, 3 added: row 0 is overwritten; each of the other six is drawn a sixth of the time."""
    rewards, is_online = rewards_drawn(half=False)
    for s in range(2):
        values, counts = np.unique(rewards[s], return_counts=True)
        np.testing.assert_array_equal(values, [1, 2, 3, *(100 * (s + 1) + np.arange(3))])
        # Standard deviation of a count: sqrt(4000 * 1/6 * 5/6) = 23.6; five of them are allowed.
        np.testing.assert_allclose(counts, 4_000 / 6, atol=118)
    assert is_online.mean() == pytest.approx(0.5, abs=0.04)
    assert (rewards[0] % 100 != rewards[1] % 100).any()  # the seeds draw by themselves


def test_half_of_a_batch_is_offline():
    """Exactly half; 4 offline rows at 500 each, 3 online rows at 667 each."""
    rewards, is_online = rewards_drawn(half=True)
    assert (is_online.sum(axis=1) == 2_000).all()
    values, counts = np.unique(rewards[0], return_counts=True)
    np.testing.assert_array_equal(values, [0, 1, 2, 3, 100, 101, 102])
    np.testing.assert_allclose(counts, [500] * 4 + [2_000 / 3] * 3, atol=106)


@pytest.fixture(params=golden_files("selection"), ids=lambda path: path.stem)
def golden(request):
    return load_golden(request.param)


def contents(buffer, rows, ring, added):
    slots = jnp.arange(ring.trusted.shape[1])
    batch, _ = buffer.read(jax.tree.map(jnp.asarray, rows), ring, 0, slots, added)
    return np.asarray(batch.rewards), np.asarray(batch.trusted)


def add_rewards(buffer, ring, rewards):
    sizes, pointers = [], []
    for number, reward in enumerate(rewards):
        shapes = jax.tree.map(lambda column: np.zeros((1, *column.shape[2:]), np.float32), ring.rows)
        ring = buffer.add(ring, shapes._replace(rewards=np.array([reward], np.float32)), jnp.int32(number))
        sizes.append(int(buffer.size(number + 1)))
        pointers.append(int(buffer.pointer(number + 1)))
    return ring, sizes, pointers


@pytest.mark.conformance
def test_ring_of_the_authors(golden):
    """Pointer, size, flags and rewards through the wrap, with stale flags."""
    loaded, added, capacity = (int(golden[f"hyper/ring_{name}"]) for name in ("loaded", "added", "capacity"))
    dataset = read_dataset(golden, "sparse")
    rows = jax.tree.map(lambda column: column[:loaded], prepare(dataset, normalize_states=False).transitions)
    rows = rows._replace(rewards=golden["ring/loaded_rewards"].astype(np.float32))
    trusted = np.ones((1, capacity), bool)
    trusted[0, :loaded:2] = False
    buffer = replay_buffer.make_replay_buffer(kept=loaded, capacity=capacity, num_steps=added, trust="stale")
    ring = jax.tree.map(jnp.asarray, buffer.init(trusted, dataset.observation_size, dataset.action_size))
    ring, sizes, pointers = add_rewards(buffer, ring, np.arange(1.0, added + 1))
    np.testing.assert_array_equal([loaded, *sizes], golden["ring/expected/size"])
    np.testing.assert_array_equal([loaded % capacity, *pointers], golden["ring/expected/pointer"])
    rewards, flags = contents(buffer, rows, ring, added)
    np.testing.assert_array_equal(rewards, golden["ring/expected/final_rewards"])
    np.testing.assert_array_equal(flags, golden["ring/expected/final_mask"])


@pytest.mark.conformance
def test_part_of_the_authors(golden):
    """The best trajectories are kept, and five transitions appended after them inherit the slots' flags."""
    dataset = read_dataset(golden, "dense")
    trusted = golden["dense/expected/mask_1"].astype(bool)
    names = {re.match(r"dense/expected/(keep_\d+)/", key)[1] for key in golden if "expected/keep_" in key}
    assert names
    for name in names:
        expected = {key: golden[f"dense/expected/{name}/{key}"] for key in ("pointer", "after_5_added_size")}
        rows = keep_best(dataset, int(name.removeprefix("keep_")), tolerance=1e-4, keep_open_tail=False)
        prepared = prepare(dataset, normalize_states=False)
        buffer = make_buffer("part", rows, prepared, trusted, capacity=len(dataset) + 6, num_steps=5, trust="stale")
        ring = jax.tree.map(
            jnp.asarray, buffer.functions.init(buffer.trusted, dataset.observation_size, dataset.action_size)
        )
        assert buffer.functions.pointer(0) == expected["pointer"]
        ring, sizes, _ = add_rewards(buffer.functions, ring, np.ones(5))
        assert sizes[-1] == expected["after_5_added_size"]
        _, flags = contents(buffer.functions, buffer.offline, ring, 5)
        mask = golden[f"dense/expected/{name}/after_5_added_mask"]
        np.testing.assert_array_equal(flags[: len(mask)], mask)

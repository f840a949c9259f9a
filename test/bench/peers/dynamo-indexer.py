"""Dynamo's RadixTree through its Python binding, in the shape of `bun run bench indexer`: 128
workers with 320 prompts of 32 blocks each, the first 8 of 64 shared prefixes. One JSON object.

Events are serialized before the clock runs. "mixed" as there: a worker drops its oldest prompt's own
blocks, stores a new prompt, and a prompt is looked up. The tree works on a thread of its own, so a
lookup at the end of each timing waits for what was applied before it.
"""

import json
import random
import time

from dynamo._core import RadixTree

WORKERS, PROMPTS_A_WORKER, BLOCKS, SHARED, PREFIXES = 128, 320, 32, 8, 64
MIXED_STEPS, LOOKUPS = 20_000, 20_000

rng = random.Random(1)
# Numbers in JSON have to fit what the binding reads: u64.
number = lambda: rng.getrandbits(63)
shared = [[(number(), number()) for _ in range(SHARED)] for _ in range(PREFIXES)]


def prompt():
    return rng.choice(shared) + [(number(), number()) for _ in range(BLOCKS - SHARED)]


event_ids = [0] * WORKERS


def event(worker, data):
    event_ids[worker] += 1
    body = {"event_id": event_ids[worker], "data": data, "dp_rank": 0}
    return worker, json.dumps(body).encode()


def stored(worker, blocks):
    rows = [{"block_hash": block, "tokens_hash": tokens} for block, tokens in blocks]
    return event(worker, {"stored": {"parent_hash": None, "blocks": rows}})


def removed(worker, blocks):
    return event(worker, {"removed": {"block_hashes": [block for block, _ in blocks]}})


def tokens_of(blocks):
    return [tokens for _, tokens in blocks]


tree = RadixTree()
held = [prompt() for _ in range(WORKERS * PROMPTS_A_WORKER)]
events = [stored(i % WORKERS, blocks) for i, blocks in enumerate(held)]

began = time.perf_counter()
for worker, body in events:
    tree.apply_event(worker, body)
tree.find_matches(tokens_of(held[-1]))
store_s = time.perf_counter() - began

found = tree.find_matches(tokens_of(held[0])).scores
assert max(found.values()) == BLOCKS, found

searched = [tokens_of(held[(i * 7_919) % len(held)]) for i in range(LOOKUPS)]
samples = []
began = time.perf_counter()
for tokens in searched:
    at = time.perf_counter()
    tree.find_matches(tokens)
    samples.append(time.perf_counter() - at)
lookup_s = time.perf_counter() - began
samples.sort()

steps = []
for step in range(MIXED_STEPS):
    fresh = prompt()
    worker = step % WORKERS
    steps.append((removed(worker, held[step][SHARED:]), stored(worker, fresh), searched[step]))
mixed_blocks = 0
cpu_s = time.process_time()
began = time.perf_counter()
for (worker, gone), (_, come), tokens in steps:
    tree.apply_event(worker, gone)
    tree.apply_event(worker, come)
    mixed_blocks += max(tree.find_matches(tokens).scores.values(), default=0)
    mixed_blocks += 2 * BLOCKS - SHARED
mixed_s = time.perf_counter() - began
mixed_cpu_s = time.process_time() - cpu_s

print(
    json.dumps(
        {
            "store_per_s": len(held) * BLOCKS / store_s,
            "lookup_per_s": LOOKUPS * BLOCKS / lookup_s,
            "lookup_p50_us": samples[len(samples) // 2] * 1e6,
            "lookup_p99_us": samples[len(samples) * 99 // 100] * 1e6,
            "mixed_per_s": mixed_blocks / mixed_s,
            # Of all its threads.
            "mixed_per_cpu_s": mixed_blocks / mixed_cpu_s,
        }
    )
)

"""Dynamo's offline replay of one trace: one JSON object a line for each router mode and speed-up.

usage: dynamo-replay.py TRACE WORKERS BLOCKS SPEEDUP[,SPEEDUP] MODE[,MODE] [{"router": "settings"}]
"""

import json
import sys
import time

from dynamo._core import KvRouterConfig, run_mocker_trace_replay

trace, workers, blocks, speedups, modes = sys.argv[1:6]
settings = json.loads(sys.argv[6]) if len(sys.argv) > 6 else {}

for speedup in map(float, speedups.split(",")):
    for mode in modes.split(","):
        started = time.perf_counter()
        summary = run_mocker_trace_replay(
            [trace],
            extra_engine_args={"engine": {"block_size": 512, "num_gpu_blocks": int(blocks)}},
            num_workers=int(workers),
            router_mode=mode,
            trace_block_size=512,
            arrival_speedup_ratio=speedup,
            replay_mode="offline",
            router_config=KvRouterConfig(**settings),
        ).summary

        def spread(name):
            return {
                "mean": summary[f"mean_{name}_ms"],
                "p50": summary[f"median_{name}_ms"],
                "p90": summary[f"p90_{name}_ms"],
                "p99": summary[f"p99_{name}_ms"],
            }

        row = {
            "router_mode": mode,
            "arrival_speedup": speedup,
            "settings": settings,
            "requests": summary["completed_requests"],
            "duration_ms": summary["duration_ms"],
            "wall_ms": (time.perf_counter() - started) * 1000,
            "prefix_reuse": summary["prefix_cache_reused_ratio"],
            "ttft_ms": spread("ttft"),
            "itl_ms": spread("itl"),
            "e2e_ms": spread("e2e_latency"),
        }
        print(json.dumps(row), flush=True)

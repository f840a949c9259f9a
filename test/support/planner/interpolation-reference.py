"""
References for the classic planner's interpolation: what scipy makes of the same points.

    python interpolation-reference.py OUT.json

1-D: interp1d(kind="cubic"), clamped. 2-D: griddata(method="cubic") on a 100 x 100 grid, holes filled
with method="nearest", as Dynamo's classic planner has it; some cells of the grid are kept. Needs
`pip install scipy`. The points are drawn with a fixed seed, so that references do not age.
"""

import json
import sys

import numpy as np
import scipy
from scipy.interpolate import griddata, interp1d

CELLS = 100


def line(x, y, at):
    made = interp1d(np.array(x, float), np.array(y, float), kind="cubic")
    return {"x": x, "y": y, "at": at, "values": [float(made(min(max(v, min(x)), max(x)))) for v in at]}


def sweep(contexts, batches, max_kv_tokens, seed):
    """A profiler's sweep: for each context length, batches until the KV cache is full."""
    draw = np.random.default_rng(seed)
    points = []
    for context in contexts:
        for batch in batches:
            share = batch * context / max_kv_tokens
            if share > 1:
                break
            itl = 6 + 30 * share + 0.004 * batch + 3 * share * share + draw.uniform(0, 0.5)
            points.append((share, context, itl, 1000 * batch / itl))
    return [list(column) for column in zip(*points)]


def surface(contexts, batches, max_kv_tokens, seed):
    x, y, itl, thpt = sweep(contexts, batches, max_kv_tokens, seed)
    xi = np.linspace(0, 1, CELLS)
    yi = np.linspace(0, max(y), CELLS)
    X, Y = np.meshgrid(xi, yi)
    made = {}
    for name, z in (("itl", itl), ("thpt", thpt)):
        cubic = griddata((np.array(x), np.array(y)), np.array(z), (X, Y), method="cubic")
        holes = np.isnan(cubic)
        nearest = griddata((np.array(x), np.array(y)), np.array(z), (X, Y), method="nearest")
        cubic[holes] = nearest[holes]
        made[name] = cubic
        made[name + "_holes"] = int(holes.sum())
    cells = [(r, c) for r in range(0, CELLS, 7) for c in range(0, CELLS, 7)]
    return {
        "kv_usage": x,
        "context_length": [float(v) for v in y],
        "itl_ms": itl,
        "thpt_per_gpu": thpt,
        "max_kv_tokens": max_kv_tokens,
        "holes": made["itl_holes"],
        "cells": [[r, c, float(made["itl"][r, c]), float(made["thpt"][r, c])] for r, c in cells],
    }


def main():
    isl = [100, 500, 1000, 2000, 3000, 4000, 8000]
    ttft = [21.4, 33.0, 60.5, 118.2, 170.9, 260.3, 610.0]
    at = [0, 100, 250, 499.5, 500, 1234, 3999, 5000, 7999, 8000, 20000]
    made = {
        "scipy": scipy.__version__,
        "lines": [
            line(isl, ttft, at),
            line([3000, 100, 1000, 8000], [200, 20, 70, 700], at),
            line([1, 2, 3, 4, 5], [1, 4, 9, 16, 25], [0.5, 1.5, 2.25, 4.75, 6]),
        ],
        "surfaces": [
            surface([510, 1490, 3170, 6211, 12503], [1, 2, 4, 8, 16, 32, 64, 128], 200_000, 1),
            surface([130, 770, 2050, 4100], [1, 3, 7, 15, 31, 63, 127, 200], 65_536, 2),
            surface([96, 410, 1030, 1980], [1, 2, 5, 9, 17, 33, 70, 150], 20_000, 3),
        ],
    }
    with open(sys.argv[1], "w") as out:
        json.dump(made, out)
        out.write("\n")


main()

"""The benchmark of the fused engine. `tools/bench_grid.py` is its front door.

`variants` says what is measured and what is asked, `runner` starts a worker process per contender and lets them take
turns, `worker` is that process, `ours` and `peers` are what works in it, `page` writes what came out. The parent never
imports torch; only `ours` imports adapterx.
"""

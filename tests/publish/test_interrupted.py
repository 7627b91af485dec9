"""A grid whose publishing is killed again and again ends with every repository as it should be, nothing doubled."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.publish import grid
from tests.publish.grid import BASE, TOKEN
from tests.support.command import environment
from tests.support.hub import Hub, Request, serve

KILLS = 20
SEED = 7


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(2400)
def test_twenty_kills_of_a_grid_of_twelve(tmp_path: Path) -> None:
    store = grid.train(
        tmp_path,
        methods={"lora": {"kind": "lora", "rank": 2}, "ia3": {"kind": "ia3"}},
        seeds=[1, 2, 3],
    )
    draw = random.Random(SEED)
    with serve(tmp_path / "hub") as hub:
        hub.writers[TOKEN] = "me"
        hub.commit_directory(BASE, tmp_path / "backbone")
        command = [sys.executable, "-m", "adapterx", "publish", "grid", "--store", str(store), "--repo", "me/tiny"]
        command += ["--base-model", BASE, "--merged-seeds", "each"]
        known = environment(**hub.environment(tmp_path / "home", TOKEN), HF_HUB_OFFLINE="0")
        killed = 0
        for _ in range(KILLS):
            # Every publishing asks some hundred times; killed at one of the first, it gets a little further each time.
            killed += killed_at(hub, command, known, draw.randint(1, 25))
        assert killed >= KILLS // 2
        done = subprocess.run(command, env=known, capture_output=True, text=True, check=False, timeout=1200)
        assert done.returncode == 0, done.stdout + done.stderr
        ids = [line.partition(":")[0] for line in done.stdout.splitlines()]
        assert len(ids) == 13 and ids[-1] == "me/tiny-index"
        for id in ids:
            # That of the new repository and one of ours; the index is written when all are there.
            assert hub.commits(id) == 2, id
        (collection,) = hub.collections.values()
        assert sorted(item["id"] for item in collection["items"]) == sorted(ids)
        again = subprocess.run(command, env=known, capture_output=True, text=True, check=False, timeout=1200)
        assert again.returncode == 0 and again.stdout.count(": unchanged at ") == 13, again.stdout
        assert TOKEN not in done.stdout + done.stderr + again.stdout


def killed_at(hub: Hub, command: list[str], known: dict[str, str], number: int) -> bool:
    """Start the command, and kill it as its n-th request that changes something arrives; whether it was that long."""
    process = subprocess.Popen(command, env=known, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    count, lock, killed = 0, threading.Lock(), threading.Event()

    def heard(request: Request) -> None:
        nonlocal count
        with lock:
            count += 1
            if count == number:
                process.send_signal(signal.SIGKILL)
                killed.set()

    hub.heard = heard
    process.wait(timeout=1200)
    hub.heard = lambda request: None
    return killed.is_set()

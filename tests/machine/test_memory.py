"""What is free: of the machine, and under the limits of control groups, of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapterx.machine.memory import Memory, meminfo, memory

GIB = 1 << 30
MEMINFO = "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\nSwapTotal: 2048 kB\nSwapFree: 1024 kB\n"


def machine(root: Path, files: dict[str, str]) -> Memory:
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return memory(root)


def test_of_a_machine_without_limits(tmp_path: Path) -> None:
    assert machine(tmp_path, {}) == Memory(16 * GIB, 8 * GIB, None, 1 << 20)


def test_a_limit_of_version_2_less_what_is_used_and_not_merely_cached(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/user/job"
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/user/job\n",
            f"{group}/memory.max": f"{4 * GIB}\n",
            f"{group}/memory.current": f"{3 * GIB}\n",
            f"{group}/memory.stat": f"anon {GIB}\ninactive_file {2 * GIB}\n",
            "sys/fs/cgroup/user/memory.max": "max\n",
            "sys/fs/cgroup/user/memory.current": f"{7 * GIB}\n",
        },
    )
    assert (found.limit, found.free) == (4 * GIB, 3 * GIB)


def test_the_lowest_limit_of_all_groups_above_counts(tmp_path: Path) -> None:
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": f"{6 * GIB}\n",
            "sys/fs/cgroup/a/b/memory.current": "0\n",
            "sys/fs/cgroup/a/memory.max": f"{2 * GIB}\n",
            "sys/fs/cgroup/a/memory.current": f"{GIB}\n",
        },
    )
    assert (found.limit, found.free) == (2 * GIB, GIB)


def test_a_container_sees_its_own_group_as_the_mount(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory"
    found = machine(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/0123\n",
            f"{group}/memory.limit_in_bytes": f"{GIB}\n",
            f"{group}/memory.usage_in_bytes": f"{2 * GIB}\n",
            f"{group}/memory.stat": "cache 5\ntotal_inactive_file 100\n",
        },
    )
    assert (found.limit, found.free) == (GIB, 0)


def test_the_largest_number_of_version_1_is_no_limit(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/memory"
    files = {
        "proc/self/cgroup": "4:memory:/\n",
        f"{group}/memory.limit_in_bytes": "9223372036854771712\n",
        f"{group}/memory.usage_in_bytes": "5\n",
    }
    assert machine(tmp_path, files).limit is None


@pytest.mark.parametrize("content", ["", "MemTotal: many kB\nMemAvailable 5 kB\n", "MemTotal: -5 kB\n"])
def test_what_is_not_said_is_unknown(content: str, tmp_path: Path) -> None:
    found = machine(tmp_path, {"proc/meminfo": content, "proc/self/cgroup": "nonsense\n0::/gone\n"})
    assert found == Memory(None, None, None, 0)


def test_nothing_readable_at_all(tmp_path: Path) -> None:
    assert memory(tmp_path / "nowhere") == Memory(None, None, None, 0)


def test_lines_of_another_form_are_left_out() -> None:
    assert meminfo("A: 1 kB\nB: 2\nHugePages_Total:       0\nC:\t3 kB extra\n") == {"A": 1024}

import os
import platform
from pathlib import Path

import numpy as np
import pytest

from gnn_distill.cli.job import give_back_freed_memory
from gnn_distill.pipeline.machine import keep_freed_memory


def resident() -> float:
    """MiB of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left alone")
def test_freed_memory_is_kept_until_it_is_given_back():
    keep_freed_memory()
    give_back_freed_memory()
    before = resident()
    arrays = [np.ones(2**17) for _ in range(100)]  # a MiB each
    assert resident() > before + 90
    del arrays
    assert resident() > before + 50
    give_back_freed_memory()
    assert resident() < before + 20

"""What a network frees is kept: pages come once, not with every batch."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from rfcx_ssl.inference.allocator import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for count in range(20):
    b"a" * (64 * 2**20 + count)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is the GNU C library's")
def test_blocks_that_were_freed_are_used_again():
    def faults(how):
        command = [sys.executable, "-c", FAULTS, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < faults("leave") / 5

"""What a process holds, and what it gives back."""

import subprocess
import sys

from simulator.process.memory import held_mib, peak_mib

# In a process of its own: what another one's allocator does with freed pieces is its own matter.
FREED_IN_PIECES = """
import numpy as np
from simulator.process.memory import give_back, held_mib
pieces = [np.ones(2_000) for _ in range(20_000)]  # 16 kB each: all from one heap
kept = pieces[::100]  # a heap that cannot shrink from its end
full = held_mib()
del pieces
freed = held_mib()
give_back()
print(full, freed, held_mib())
"""


def test_what_was_freed_in_pieces_goes_back_to_the_system():
    done = subprocess.run(
        [sys.executable, "-c", FREED_IN_PIECES], capture_output=True, text=True, check=True
    )
    full, freed, given_back = map(float, done.stdout.split())
    assert full - freed < 100.0  # of the 305 MiB: else this shows nothing
    assert full - given_back > 200.0


def test_a_process_holds_no_more_than_its_peak():
    assert 0.0 < held_mib() <= peak_mib() + 1.0

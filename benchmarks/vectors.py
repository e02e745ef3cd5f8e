"""How fast the exact lane executes single instructions, beside the recorded program in its virtual machine.

Replays the vectors of ``tests/parity/data`` and times the execution alone (decoded instruction in, receipt out, nothing
stored on disk; preparing the state of each vector and comparing the outcome are not timed).

    python benchmarks/vectors.py
"""

from itertools import islice
from pathlib import Path
from time import perf_counter

from seawall.audit.parity.replay import VectorReplay, read_lines
from seawall.audit.parity.translate import translate
from seawall.engine.receipts import Clock
from seawall.engine.venue import Machine, Request

VECTORS = Path(__file__).resolve().parents[1] / "tests/parity/data/vectors"
LINES = 1_500

PROGRAM = {
    "settle_pnl": "4,650 to 7,840",
    "deposit_withdraw": "about 10,500",
    "settle_revenue": "6,300 to 9,300",
    "interest": "23,000",
}
"""What the recorded program executed a second, one thread, executing only, on the machine that recorded it."""


class TimedReplay(VectorReplay):
    """A replay that adds up the time of the executions."""

    elapsed = 0.0
    executed = 0

    def run(self, line):  # type: ignore[no-untyped-def]
        """Run one recorded instruction, timing the engine alone."""
        clock = Clock(int(line["clock"]["unix_timestamp"]), int(line["clock"]["slot"]))
        self._post_oracles(line, clock)
        translated = translate(self.recording, line)
        if translated is None:
            return None, []
        instruction, signer = translated
        request = Request(instruction, signer, clock)
        start = perf_counter()
        outcome = self.machine.execute(request)
        self.elapsed += perf_counter() - start
        self.executed += 1
        return outcome


def rate(path: Path) -> tuple[int, float]:
    """Instructions executed, and how many a second."""
    lines = read_lines(path)
    replay = TimedReplay(next(lines))
    replay.machine = Machine(replay.recording.store)
    for line in islice(lines, LINES):
        replay.step(line)
    return replay.executed, replay.executed / replay.elapsed


def show() -> None:
    """Print one row a family of vectors."""
    print(f"{'vectors':24}{'instructions':>14}{'a second':>12}    the program in its VM")
    for path in sorted(VECTORS.glob("*.gz")):
        name = path.name.partition(".")[0]
        executed, speed = rate(path)
        print(f"{name:24}{executed:>14,}{speed:>12,.0f}    {PROGRAM.get(name, '')}")


if __name__ == "__main__":
    show()

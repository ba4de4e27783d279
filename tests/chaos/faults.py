"""The faults: kill -9 of every kind of process in a seeded order, and the cable pulled now and then."""

import os
import random
import signal
import threading
import time
from collections import Counter

from bridge.stack.layout import Layout
from bridge.stack.supervisor import Supervisor
from tests.chaos.load import Say
from tests.chaos.proxy import Cable

TARGETS = (
    "bridge", "bridge-2", "worker", "temporal", "kafka", "airflow-scheduler", "airflow-triggerer",
    "airflow-api-server",
)  # fmt: skip
CABLE = "cable"


def make_faults(seed: int, *, kills: int, cuts: int) -> list[tuple[float, str, float]]:
    """``(seconds to wait, what, for how long)``; the same for the same seed."""
    chance = random.Random(f"faults-{seed}")
    what = [TARGETS[number % len(TARGETS)] for number in range(kills)] + [CABLE] * cuts
    chance.shuffle(what)
    return [(chance.uniform(4, 13), name, chance.uniform(4, 14) if name == CABLE else 0.0) for name in what]


class Faults(threading.Thread):
    """Carries the plan out. A target that is just being started again is waited for, so that each kill is one."""

    def __init__(self, plan: Layout, cable: Cable, faults: list[tuple[float, str, float]], say: Say) -> None:
        super().__init__(name="faults", daemon=True)
        self._supervisor = Supervisor(plan)
        self._cable = cable
        self._faults = faults
        self._say = say
        self.done: Counter[str] = Counter()
        self.error: BaseException | None = None

    def run(self) -> None:
        clock = threading.Event()
        try:
            for pause, name, seconds in self._faults:
                clock.wait(pause)
                if name == CABLE:
                    self._say(f"  cut: bridges and broker apart for {seconds:.0f} s")
                    self._cable.cut()
                    clock.wait(seconds)
                    self._cable.mend()
                else:
                    self._kill(name, clock)
                self.done[name] += 1
        except BaseException as error:  # noqa: BLE001 - told by the bench
            self.error = error

    def _kill(self, name: str, clock: threading.Event) -> None:
        deadline = time.monotonic() + 120
        while not (pid := self._supervisor.pid(name)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} was not started again within 120 s")
            clock.wait(0.2)
        self._say(f"  kill -9 {name} ({pid})")
        os.killpg(pid, signal.SIGKILL)  # the whole group, as when its container dies

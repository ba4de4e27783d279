"""How our processes end."""

import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process now, with everything said.

    Without this the interpreter is taken down while threads of Temporal's core may still call into it, and such a call
    aborts the process with a signal instead of its exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or 1
    os._exit(code)

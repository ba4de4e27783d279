"""Serves the small model on loopback by llama.cpp, with an OpenAI-compatible API at ``/v1``, until it gets SIGTERM.

    python infra/model/serve.py 8096 .tandem/model

The folder holds the packages of ``requirements.txt``; one of them carries the model.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

CONTEXT = 4096  # tokens
LONGEST_ANSWER = 256  # tokens; the model is for sentences


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    weights = sorted(arguments.folder.glob("*/*.gguf"))
    if not weights:
        sys.exit(f"no model (*.gguf) in {arguments.folder}; fetch it with: make model")
    stopped = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stopped)  # also in the server's threads
    server = serve(arguments.port, arguments.folder, weights[0])
    print(f"{weights[0].stem} is served at {server.listening_address}/v1", flush=True)
    signal.sigwait(stopped)
    os._exit(0)  # there is nothing to keep, and the server's own way down waits for its clients


def serve(port: int, folder: Path, weights: Path) -> object:
    sys.path.insert(0, str(folder))
    import xllamacpp  # noqa: PLC0415 - found there only

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights)
    parameters.model_alias = {weights.stem}
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = port
    parameters.n_ctx = CONTEXT
    parameters.n_predict = LONGEST_ANSWER
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = max(1, (os.cpu_count() or 2) // 2)
    return xllamacpp.Server(parameters)


if __name__ == "__main__":
    main()

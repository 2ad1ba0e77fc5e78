"""The command line: parse, call one public function, print. Results go to stdout."""

import os

# Before numpy is imported: matrices of a thousand rows gain little by threads, and on a machine
# with other work threads wait for each other, so that a question takes four times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from bayesmeta.cli.shared import app, main

__all__ = ["app", "main"]

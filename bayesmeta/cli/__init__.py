"""The command line: parse, call one public function, print. Results go to stdout."""

from bayesmeta.cli.shared import app, main

__all__ = ["app", "main"]

"""Execute notebooks from start to end, in place, with the interpreter that runs this script.

Usage: run-notebooks.py [--check] NOTEBOOK...
"""

import argparse
import time
from pathlib import Path

import nbclient
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

PATIENCE_SECONDS = 3600
"""For a kernel to start, and for output that is under way: only one that is dead takes so long."""


def execute(path: Path, *, write: bool) -> float:
    """Execute the notebook at `path`; an error in a cell raises and leaves the file as it was."""
    start = time.perf_counter()
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    # Without folders to search, `python3` is ipykernel of this interpreter, whatever other
    # kernels of that name are installed for the user.
    specs = KernelSpecManager(kernel_dirs=[])
    nbclient.NotebookClient(
        notebook,
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
        timeout=None,  # a busy machine takes as long as it takes
        startup_timeout=PATIENCE_SECONDS,
        iopub_timeout=PATIENCE_SECONDS,
        extra_arguments=["--log-level=ERROR"],  # the kernel warns about its own local transport
        record_timing=False,  # time stamps would change the file at every run
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    # The patch version of the machine at hand is no part of the notebook either.
    notebook.metadata.get("language_info", {}).pop("version", None)
    if write:
        nbformat.write(notebook, path)
    return time.perf_counter() - start


def main() -> None:
    """Execute the notebooks named on the command line, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="execute, but leave the files alone")
    parser.add_argument("notebooks", nargs="+", type=Path)
    arguments = parser.parse_args()
    for path in arguments.notebooks:
        seconds = execute(path, write=not arguments.check)
        print(f"{path}  {seconds:.0f} s")


if __name__ == "__main__":
    main()

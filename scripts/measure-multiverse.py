"""Multiverse: what four findings look like under the choices that analysts make differently.

Usage: measure-multiverse.py [--n N] [--workers N] [--keep FOLDER] [--out FILE.csv]

The statements are those of the paper whose data these are: rotary position embeddings, the share of
code, over all benchmarks and for code alone, and web text against truthfulness. The record has a
row per specification and statement (see `bayesmeta.multiverse`). Finished fits are kept, so that a
run that was broken off goes on where it stopped.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import measuring
from keeping import write_record

import bayesmeta as bm
from bayesmeta import defaults

STATEMENTS = [
    "position_embedding: rotary > learned",
    "code_share: 20 > 5",
    ("code_share: 20 > 5", "code"),
    ("web_share: +10 from code_share", "truthfulqa"),
]


def main():
    """Run, write the record and print what it says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=defaults.SPECIFICATIONS, help="specifications")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=measuring.ROOT / "out" / "multiverse")
    parser.add_argument("--out", type=Path, default=measuring.ROOT / "data" / "multiverse.csv")
    arguments = parser.parse_args()
    arguments.keep.parent.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(arguments.workers, mp_context=context)
    try:
        found = bm.multiverse(
            bm.load_dataset(), STATEMENTS, n=arguments.n, executor=executor, out=arguments.keep
        )
    finally:
        executor.shutdown(cancel_futures=True)
    write_record(found.table().round(4), path=arguments.out)
    print(found.influence().round(2).to_string())
    print(found.summary(by="data").round(2).to_string())
    print(found)
    print(f"wrote {arguments.out}", file=sys.stderr)


if __name__ == "__main__":
    main()

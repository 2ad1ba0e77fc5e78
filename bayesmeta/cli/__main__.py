"""`python -m bayesmeta.cli` is `bayesmeta`."""

from bayesmeta.cli import main

main()

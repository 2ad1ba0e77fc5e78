"""`python -m bayesmeta.cli` is `bayesmeta`."""

from bayesmeta.cli.shared import main

main()

"""`python -m aqm.cli` is `aqm`: a background worker is started like this, whatever PATH says."""

from aqm.cli import main

__all__: list[str] = []

main()

"""One conformance suite over every runtime, against script CLIs, and what is particular to each."""

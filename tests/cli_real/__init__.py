"""The real agent CLIs, pinned, driven through our runtimes against the stand-in (make test-cli)."""

"""Teams of AI agents in YAML, run by real coding CLIs."""

__all__ = ["__version__"]

__version__ = "2.0.0.dev1"

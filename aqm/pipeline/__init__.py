"""The language: what a user may write in a pipeline document, and what it means."""

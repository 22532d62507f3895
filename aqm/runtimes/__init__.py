"""How we call a CLI: one file a runtime, one subprocess door (`process`)."""

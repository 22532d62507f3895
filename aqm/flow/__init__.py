"""The rules: what happens next. Pure functions over frozen values; nothing here reads or writes anything."""

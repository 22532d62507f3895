"""What a user can ask for: plain functions over an open project."""

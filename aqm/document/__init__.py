"""YAML as users write it: plain values that know their file, line and path, and sentences for what is wrong."""

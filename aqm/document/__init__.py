"""YAML as users write it: values that know their file, line and path, and sentences for what is wrong."""

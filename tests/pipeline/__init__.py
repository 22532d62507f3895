"""Tests of the language: pure, and in milliseconds."""

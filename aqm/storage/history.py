"""What a task's branch did before a stage: two bounded reads, whatever the history's length."""

from __future__ import annotations

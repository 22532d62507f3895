"""What orchestration costs: each workload beside the same calls with plain `subprocess.run`, in one run."""

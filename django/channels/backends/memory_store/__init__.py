"""The state of the memory layer: its queues, its groups and who waits."""

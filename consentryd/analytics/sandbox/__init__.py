"""Read-only SQL for analysts, over three views and nothing else."""

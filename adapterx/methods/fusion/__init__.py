"""AdapterFusion: attention over frozen bottleneck adapters."""

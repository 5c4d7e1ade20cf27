"""Speed, memory and sizes, measured by `make bench` and written to docs/reference/benchmarks.md."""

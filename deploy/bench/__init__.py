"""Speed, memory and sizes, measured by `make bench` and written to docs/benchmarks.md."""

"""The programs that run inside a job: standard library only, Python 3.7 or newer."""

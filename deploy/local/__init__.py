"""The embedded stack: real processes on loopback that stand where the cloud would."""

"""The functions' own code in a simulated world: one virtual clock, and every fault at every call."""

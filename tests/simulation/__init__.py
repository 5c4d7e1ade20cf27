"""Tests: the three verbs in a world of their own, under one virtual clock, with every fault at every call."""

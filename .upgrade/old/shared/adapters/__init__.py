"""Adapters: one module or package per outside system; those of Google's services share `google`."""

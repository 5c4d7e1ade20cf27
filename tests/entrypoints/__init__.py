"""The three functions through functions-framework, with local servers around them."""

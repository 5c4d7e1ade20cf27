"""How many planted mistakes the tests notice: mutmut plants them, and runs the nearest tests."""

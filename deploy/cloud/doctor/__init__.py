"""What goes wrong in practice: each check looks at one thing, and says how to mend it."""

"""One test per attack, through the functions' own doors where possible."""

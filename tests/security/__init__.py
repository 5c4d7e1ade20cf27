"""One test for each attack, through the functions' own doors where possible."""

"""One test for each attack on the functions and on the programs of a job."""

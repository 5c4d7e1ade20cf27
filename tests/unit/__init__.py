"""Modules of the product on fakes of our own ports; also the pages, the prose and the sizes."""

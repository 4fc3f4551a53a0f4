"""The pure core: facts and a time in, decisions out. No I/O, no clock, no foreign library."""

"""One file per outside thing; each implements a port with one vendor library."""

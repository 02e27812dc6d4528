"""A call centre in virtual time, on the product's own matching: what would happen under these rules."""

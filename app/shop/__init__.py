"""The sample shop: a separate process with its own API and orders, so that the product can be tried without a shop."""

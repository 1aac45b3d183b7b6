"""The whole system on one machine: points server, world and daemon as three processes, and a page to watch them."""

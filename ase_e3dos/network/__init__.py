"""The E(3)-equivariant networks, and the weights files that hold them."""

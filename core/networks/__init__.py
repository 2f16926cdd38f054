"""Neural networks: the generator and, in training, its discriminator."""

"""Training: from color photographs to a model that colorizes."""

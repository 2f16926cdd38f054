"""Photographs as files and as arrays: decoding, encoding, CIELAB, metadata, previews."""

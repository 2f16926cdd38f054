"""What is measured of Gray2Hue, and how. See README.md."""

"""What the web side and the worker side share: settings, records, job engine, storage, archives, imaging, colorizer."""

"""Files under the data directory."""

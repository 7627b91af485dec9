"""What this machine is, whether the quickstart runs on it, and how long work takes here."""

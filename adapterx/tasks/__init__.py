"""What is learnt and how it is scored: task specifications, their data, its encoding, metrics and sampling."""

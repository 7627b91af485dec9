"""What the `datasets` library reads: directories that it has saved, folders and files of data, the Hub."""

"""Results leave: adapters in the files of a library, predictions in a benchmark's, whole repositories for the Hub."""

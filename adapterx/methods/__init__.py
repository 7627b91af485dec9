"""Methods: what is trained on a frozen backbone, with the parameters of many cells stacked side by side."""

"""What a step of the engine asks of a GPU: operations recorded without one, and what a card would need for them."""

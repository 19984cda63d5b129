"""Publishing models on the Hugging Face hub: what is in the folder, what the card says, what must not leave."""

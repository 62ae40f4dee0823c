"""What is given and what is to be invented, as one noise level per latent token; this room knows no network and no file."""

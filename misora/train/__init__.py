"""How the networks learn: optimiser, recipes, resume; nothing that serves a request imports this room."""

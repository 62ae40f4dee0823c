"""One request becomes one file; this room joins the others and knows nothing of how it was asked."""

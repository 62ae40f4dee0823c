"""What a caller of Misora sees: the error tree; this room knows no torch and no network."""

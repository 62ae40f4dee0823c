"""What a caller of Misora sees: the error tree, wire types, ``Client`` and ``AsyncClient``; this room knows no torch and no library."""

"""Numbers from clips; the truth arrives with the clip, so this room never meets the world that made it."""

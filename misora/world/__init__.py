"""Simulated clips with the truth attached; the only room that imports the physics engine."""

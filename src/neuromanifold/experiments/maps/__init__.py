"""Self-organising maps, columns and retinotopy."""

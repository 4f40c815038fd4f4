"""Networks that organise themselves: Hebbian neurons and fields, maps, columns."""

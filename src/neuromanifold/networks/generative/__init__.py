"""Networks that make what they have seen: sparse codes."""

"""What submit could not take: seen, published once more, or dropped."""

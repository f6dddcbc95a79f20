"""Cache hits answered from the bytes of a request's head, before any request object exists."""

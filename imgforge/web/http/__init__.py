"""HTTP semantics: responses, conditions, content negotiation, forwarded headers, request bodies."""

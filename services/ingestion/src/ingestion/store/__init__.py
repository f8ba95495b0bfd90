"""Every SQL statement: `statements` for the path from a push to a person, `review` for what people do."""

"""The object graph: nodes, named edges, checkpoint keys, and matching saved against stored."""

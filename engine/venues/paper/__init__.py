"""The paper venue: a matching exchange in memory, its fill models, its durable store and the asynchronous shell."""

"""Reading and writing rows: one generic repository, composable queries, pages, retention."""

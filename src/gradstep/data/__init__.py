"""From a table to rows: files and frames are read, columns become features, rows are prepared."""

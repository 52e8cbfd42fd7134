"""Where tables come from: files, frames, queries."""

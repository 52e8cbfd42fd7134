"""The sections of a report; each returns its parts, or says why it has none."""

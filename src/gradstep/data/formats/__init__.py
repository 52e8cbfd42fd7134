"""How people write numbers and dates in text: formats, and how they are recognised."""

"""What gradstep notes and warns of: a code for each that stays, and a page (docs/adr/0034)."""

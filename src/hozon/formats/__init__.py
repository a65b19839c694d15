"""File formats to plain records and back; one folder for each format."""

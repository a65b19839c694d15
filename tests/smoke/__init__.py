"""What must work with every version of the dependencies that is declared."""

"""What we remember. Rows never leave this package: it takes and gives frozen values."""

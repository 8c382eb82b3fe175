"""How the formats' files are read again before a bundle is published: one file here for each kind of file. Nothing is written here."""

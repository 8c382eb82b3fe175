"""The bundle: the zip a job makes. Its archive, the list of what is in it, its manifest, its checksums, its README."""

"""The depot process: takes finished bundles in and gives them out, in chunks that the receiver asks for. Knows no job, only tokens."""

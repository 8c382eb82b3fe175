"""Projects that come as a zip: its directory checked, its files unpacked into the job's staging directory, the project found in them.

Nothing here follows what a hostile zip wants: see `directory` for the limits. Other archives are not unpacked.
"""

"""From a project to its snapshot: what a source tells is checked, selected, named and written down; then each image is settled.

project.py    the whole reading, in steps         intake.py    what a source tells into; complaints.py decides what ends the export
settling.py   the pass over the images            snapshot_writer.py, object_rows.py, rows.py    the file that a snapshot is, while it is filled
json_stream.py, json_cursor.py    json files of any size, for the sources that are json
"""

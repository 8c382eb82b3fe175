"""Results that are kept: of an attempt for the next one (checkpoints), of an export for later ones (the cache).

A result is found by what it was made of and by whom (`mark`), never by who asked, and is checked by its digest. What is kept is a
saving and nothing else: whatever is wrong with a store, its results are made anew. How tasks are done with it is `lanes.maker`'s.
"""

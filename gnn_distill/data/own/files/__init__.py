"""Files that hold tracked or simulated particles, whoever wrote them.

In the order in which they work: `places` finds the files, `text`, `tables`, `arrays` and `molecular` read
them, `names` knows what headings mean, `columns` says what each is used as, `assemble` makes arrays of it.
"""

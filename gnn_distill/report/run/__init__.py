"""The page of one run, and its last words in the terminal."""

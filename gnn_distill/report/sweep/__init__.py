"""Tables, figures and the page of many runs."""

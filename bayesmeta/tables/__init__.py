"""Tables whose columns say how they are written, and the writers: text, papers, programs."""

"""The book builder: from committed notebooks to checked HTML, and back to fresh notebooks."""

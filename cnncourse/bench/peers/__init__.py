"""The contestants, one peer a file, each written the way its documentation says; imported only in a trial."""

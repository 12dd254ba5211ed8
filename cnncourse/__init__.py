"""A course on deep convolutional networks that checks itself: the library behind its chapters."""

__version__ = "0.1.0"

"""Pickles of plain data and byte arrays, read without running anything that they ask for.

A pickle is a small program: it may import any function and call it. Here nothing is imported. The few names
that NumPy's arrays need stand for recorders of this file, which note what the pickle says about an array; the
array is built afterwards, by us. Every other name ends the reading.
"""

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np


class PickleError(ValueError):
    """A pickle asks for something that plain data does not need, or is damaged."""


class _DType:
    """Notes the type of an array; only unsigned bytes are known."""

    def __init__(self, code: Any = None, *_flags: Any) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code

    def __setstate__(self, _state: Any) -> None:
        """Take byte order and alignment as read: a byte has neither."""


class _Array:
    """Notes shape and content of an array."""

    def __init__(self, *_arguments: Any) -> None:
        self.state: tuple[Any, ...] | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise PickleError("an array of another form than NumPy writes")
        self.state = state

    def built(self) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Return the array that was described."""
        if self.state is None:
            raise PickleError("an array without content")
        _version, shape, kind, column_first, content = self.state
        if not isinstance(kind, _DType) or kind.code not in ("u1", "|u1", "uint8"):
            raise PickleError(f"only arrays of unsigned bytes are read, got {getattr(kind, 'code', kind)!r}")
        if not isinstance(content, bytes | bytearray) or not isinstance(shape, tuple):
            raise PickleError("an array whose content is not bytes")
        try:
            flat = np.frombuffer(content, dtype=np.uint8)
            return flat.reshape(shape, order="F" if column_first else "C")
        except (ValueError, TypeError) as error:
            raise PickleError(f"an array of shape {shape} with {len(content)} bytes") from error


def _from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> _Array:
    """Stand for the function by which newer pickles give an array."""
    array = _Array()
    array.state = (
        1,
        shape,
        kind,
        order == "F",
        bytes(content) if isinstance(content, bytearray) else content,
    )
    return array


def _encoded(text: Any, _encoding: Any = "latin1") -> bytes:
    """Stand for ``codecs.encode``, by which old pickles of Python 3 give bytes."""
    if not isinstance(text, str):
        raise PickleError("text to encode that is no text")
    return text.encode("latin1")


class _Name:
    """Stands for something that a pickle names; it can be called and in no way changed."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise PickleError(f"the file tries to change {name}")


def _never(*_arguments: Any) -> Any:
    """Stand for ``numpy.ndarray``, which is an argument only."""
    raise PickleError("the file calls numpy.ndarray, which NumPy's own pickles do not")


_KNOWN = {
    ("numpy", "ndarray"): _Name(_never),
    ("numpy", "dtype"): _Name(_DType),
    ("_codecs", "encode"): _Name(_encoded),
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Name(_Array) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Name(_from_buffer) for core in ("core", "_core")},
}


# The unpickler in Python, not the one in C: a few damaged bytes make the latter ask for gigabytes.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise PickleError(
                f"the file asks for {module}.{name}, which no data set needs; it was not run. Get the file from "
                "its authors"
            ) from None


def read_pickle(content: bytes) -> Any:
    """Return plain data from a pickle: numbers, text, bytes, lists, dictionaries, arrays of unsigned bytes.

    Args:
        content: the file; text that Python 2 wrote comes back as bytes.

    Returns:
        The data, with NumPy arrays at the top level and in the values of a dictionary.

    Raises:
        PickleError: if the content is damaged or names anything else, which is not run.
    """
    try:
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except PickleError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise PickleError(f"the pickle cannot be read ({type(error).__name__}: {error})") from error
    if isinstance(found, dict):
        return {key: value.built() if isinstance(value, _Array) else value for key, value in found.items()}
    return found.built() if isinstance(found, _Array) else found

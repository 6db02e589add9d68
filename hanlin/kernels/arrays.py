"""Where matrices of float32 lie in memory, of numpy or of torch, and how the native library is told."""

import ctypes
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np


@runtime_checkable
class TorchTensor(Protocol):
    """What is asked of a tensor of torch, which is not imported here: a model that generates goes without."""

    device: Any
    dtype: Any

    @property
    def shape(self) -> Any:
        """Its sizes."""
        ...

    def stride(self) -> Any:
        """How far apart its numbers lie, axis by axis."""
        ...

    def data_ptr(self) -> int:
        """Where they begin."""
        ...

    def new_empty(self, size: Any, /) -> Any:
        """One of its kind."""
        ...

    def __getitem__(self, place: Any, /) -> Any: ...

    def __len__(self) -> int: ...


Numbers = np.ndarray | TorchTensor
Array = TypeVar("Array", bound=Numbers)
"""A matrix of float32, of numpy or of torch on the processor; what is made of one is of its kind."""


class Matter(NamedTuple):
    """Where a matrix of float32 lies."""

    place: int
    rows: int
    columns: int
    stride: int


class NativeMatrix(ctypes.Structure):
    """native/rows.h, Matrix."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("groups", ctypes.c_void_p),
        ("outputs", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
        ("group", ctypes.c_int64),
        ("bits", ctypes.c_int32),
        ("has_minimums", ctypes.c_int32),
        ("row_bytes", ctypes.c_int64),
    )


class NativeRows(ctypes.Structure):
    """native/rows.h, Rows."""

    _fields_ = (
        ("codes", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("large", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("inputs", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
    )


def matter(x: Numbers) -> Matter:
    """Of a numpy array or a torch tensor on the processor, float32, two axes, whose rows are without gaps.

    Raises:
        ValueError: it is of another kind; native code would read past its end.
    """
    if isinstance(x, np.ndarray):
        is_float, strides, place = x.dtype == np.float32, [step // 4 for step in x.strides], x.ctypes.data
    else:
        is_float, strides, place = str(x.dtype) == "torch.float32", x.stride(), x.data_ptr()
        _sound(x.device.type == "cpu", f"on {x.device}, not on the processor")
    _sound(is_float and len(x.shape) == 2, f"{x.dtype} {tuple(x.shape)}, not float32 of two axes")
    _sound(strides[1] == 1 or x.shape[1] <= 1, f"columns lie {strides[1]} apart, not side by side")
    _sound(strides[0] >= x.shape[1] or x.shape[0] <= 1, f"rows lie {strides[0]} apart, over each other")
    return Matter(place, x.shape[0], x.shape[1], strides[0] if x.shape[0] > 1 else x.shape[1])


def vector(x: Numbers | None, count: int) -> int | None:
    """Where `count` float32 lie side by side; None of None.

    Raises:
        ValueError: they do not.
    """
    if x is None:
        return None
    _sound(tuple(x.shape) == (count,), f"{tuple(x.shape)}, not ({count},)")
    return matter(x[None]).place


def place(array: np.ndarray | None) -> int | None:
    """The address of an array's first element; None of None."""
    return None if array is None else array.ctypes.data


def _sound(is_so: bool, what: str) -> None:
    if not is_so:
        raise ValueError(what)

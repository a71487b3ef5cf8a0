"""A generator that runs in a thread, a few items ahead of whoever consumes it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterator[T], depth: int = 2) -> Generator[T, None, None]:
    """Yield the items of an iterator, which is run in a thread of its own.

    Parameters
    ----------
    items : iterator of T
        Its exceptions are raised again where the items are consumed.
    depth : int, optional
        Items that may wait to be consumed.
    """
    waiting: queue.Queue[tuple[T | None, BaseException | None] | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: tuple[T | None, BaseException | None] | None) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def produce() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer
            put((None, error))

    thread = threading.Thread(target=produce, name="e3dos-ahead", daemon=True)
    thread.start()
    try:
        while (found := waiting.get()) is not None:
            item, error = found
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join(timeout=5.0)

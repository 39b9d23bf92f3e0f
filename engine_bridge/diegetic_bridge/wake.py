"""Wake a thread that sleeps in a ZeroMQ poll."""

import threading

import zmq


class Waker:
    """A bell with one bit of memory: any thread rings, the one that polls `receiver` hushes."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        endpoint = f"inproc://waker-{id(self)}"
        self.receiver = context.socket(zmq.PAIR)
        self._sender = context.socket(zmq.PAIR)
        for socket in (self.receiver, self._sender):
            socket.setsockopt(zmq.LINGER, 0)
        self.receiver.bind(endpoint)
        self._sender.connect(endpoint)
        self._lock = threading.Lock()
        # Ours, since a full queue of ZeroMQ's may look full for a moment after it was emptied
        self._ringing = False
        self._closed = False

    def ring(self) -> None:
        """Make `receiver` readable until `hush`. Never blocks."""
        with self._lock:
            if not (self._ringing or self._closed):
                self._ringing = True
                self._sender.send(b"", zmq.DONTWAIT)

    def hush(self) -> None:
        """Forget all rings so far. Only the polling thread may call it."""
        with self._lock:
            if self._ringing:
                self._ringing = False
                self.receiver.recv(zmq.DONTWAIT)

    def close(self) -> None:
        """Close both ends. Only the polling thread may call it; a later ring does nothing."""
        with self._lock:
            self._closed = True
            self._sender.close()
        self.receiver.close()

"""Keeps idle connections to backends, the last used ones first, and not for ever."""

from __future__ import annotations

from collections.abc import Hashable

from attrs import define, field

from olla.wire.connection import BackendConnection


@define(eq=False)
class Pool:
    """
    Idle connections by what they lead to.

    :ivar max_idle: kept in all; the one idle for longest makes room.
    :ivar max_idle_per_host: kept for each key.
    :ivar idle_timeout: seconds that they are kept; ``0`` for no limit.
    """

    max_idle: int
    max_idle_per_host: int
    idle_timeout: float
    _stacks: dict[Hashable, list[BackendConnection]] = field(init=False, factory=dict)
    _keys: dict[BackendConnection, Hashable] = field(init=False, factory=dict)  # the longest idle first

    def __len__(self) -> int:
        return len(self._keys)

    def take(self, key: Hashable) -> BackendConnection | None:
        """Give the connection for ``key`` that was used last; ``None`` when there is none."""
        stack = self._stacks.get(key)
        if not stack:
            return None
        connection = stack.pop()
        del self._keys[connection]
        return connection

    def put(self, key: Hashable, connection: BackendConnection) -> None:
        """Keep ``connection``, or close it, or close another in its favour."""
        stack = self._stacks.setdefault(key, [])
        if len(stack) >= self.max_idle_per_host or not self.max_idle:
            connection.close()
            return
        if len(self._keys) >= self.max_idle:
            self._close(next(iter(self._keys)))
        connection.idle_since = 0.0
        stack.append(connection)
        self._keys[connection] = key

    def forget(self, connection: BackendConnection) -> None:
        """Keep ``connection`` no longer, if it was kept: it is closed."""
        key = self._keys.pop(connection, None)
        if key is not None:
            self._stacks[key].remove(connection)

    def drop(self, key: Hashable) -> None:
        """Close what leads to ``key``."""
        for connection in self._stacks.pop(key, ()):
            del self._keys[connection]
            connection.close()

    def close(self) -> None:
        """Close all."""
        for key in tuple(self._stacks):
            self.drop(key)

    def sweep(self, now: float) -> None:
        """Close what has been idle for too long; idleness counts from the first sweep that sees it."""
        if not self.idle_timeout:
            return
        for connection in tuple(self._keys):
            if not connection.idle_since:
                connection.idle_since = now
            elif now - connection.idle_since >= self.idle_timeout:
                self._close(connection)

    def _close(self, connection: BackendConnection) -> None:
        self.forget(connection)
        connection.close()

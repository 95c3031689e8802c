"""Keeps idle connections to backends, the last used ones first, and not for ever."""

from __future__ import annotations

from collections.abc import Hashable

from attrs import define, field

from olla.wire.connection import BackendConnection


@define(eq=False)
class Pool:
    """
    Idle connections by what they lead to.

    :ivar max_idle: kept in all; those idle for longest make room.
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
        """Keep ``connection``; the next but one :meth:`sweep` closes it if there are too many by then."""
        connection.idle_since = 0.0
        self._stacks.setdefault(key, []).append(connection)
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
        """
        Close what is too much or has been idle for too long; to be called a few times a second.

        What has come since the last sweep is spared, and idleness counts from the first sweep that sees it: under
        load connections are idle for a moment, all at once sometimes, and are wanted again in the next.
        """
        for connection in tuple(self._keys):
            if not connection.idle_since:
                connection.idle_since = now
            elif self._excessive(connection) or (
                self.idle_timeout and now - connection.idle_since >= self.idle_timeout
            ):
                self.forget(connection)
                connection.close()

    def _excessive(self, connection: BackendConnection) -> bool:
        stack = self._stacks[self._keys[connection]]
        return len(stack) > self.max_idle_per_host or len(self._keys) > self.max_idle
